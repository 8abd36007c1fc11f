"""The probe: experiments with throwaway entities that answer what OrderCloud leaves open."""
