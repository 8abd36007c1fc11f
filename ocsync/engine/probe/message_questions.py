"""Experiments that look at a listener's messages.

Silence is an answer too: no message within the experiment's patience, where another has arrived.
"""

from __future__ import annotations

from ocsync.client import request_sync
from ocsync.engine.probe.experiment import Experiment, Measured, Unanswered, refusal_of
from ocsync.errors import OcsyncError
from ocsync.plurals import count
from ocsync.schema import TARGETS

_CATALOGS, _PRODUCTS = "catalogs", "products"


async def no_op(it: Experiment) -> Measured:
    """Write the same value again."""
    it.need_listener(_CATALOGS)
    name = await it.made.create("catalogs", Description="same")
    skip = await it.settled(_CATALOGS, name)
    await it.made.patch(f"/catalogs/{name}", Description="same")
    came = await it.messages(_CATALOGS, name, skip=skip)
    return Measured(
        "deliver" if came else "silent",
        f"{count(came, 'message')} for a PATCH that changes nothing",
    )


async def while_paused(it: Experiment) -> Measured:
    """Change one entity three times during a pause."""
    it.need_listener(_CATALOGS)
    name = await it.made.create("catalogs")
    skip = await it.settled(_CATALOGS, name)
    async with it.paused(_CATALOGS):
        for number in range(3):
            await it.made.patch(f"/catalogs/{name}", Description=f"change {number}")
    came = await it.messages(_CATALOGS, name, skip=skip)
    if came:  # more may follow
        came = await it.messages(_CATALOGS, name, skip=skip, wanted=4)
    text = f"3 changes during a pause: {count(came, 'message')} after it"
    return Measured("queue" if came else "drop", text)


async def updated_after_delete(it: Experiment) -> Measured:
    """Change two entities during a pause, and delete one of them before the pause ends.

    Raises Unanswered when no message of the other one follows either.
    """
    it.need_listener(_CATALOGS)
    name, kept = await it.made.create("catalogs"), await it.made.create("catalogs")
    skip = max([await it.settled(_CATALOGS, each) for each in (name, kept)])
    async with it.paused(_CATALOGS):
        for each in (name, kept):
            await it.made.patch(f"/catalogs/{each}", Description="changed")
        await it.made.delete(f"/catalogs/{name}")
    if not await it.messages(_CATALOGS, kept, skip=skip):
        raise Unanswered("changes during a pause are dropped, also those of entities that exist")
    came = await it.messages(_CATALOGS, name, skip=skip)
    text = f"changed, then deleted during a pause: {count(came, 'update message')}"
    return Measured("sent" if came else "dropped", text)


async def sync_while_paused(it: Experiment) -> Measured:
    """Request a sync of one entity during a pause."""
    it.need_listener(_CATALOGS)
    target = TARGETS[_CATALOGS]
    name = await it.made.create("catalogs")
    skip = await it.settled(_CATALOGS, name)
    early = 0
    async with it.paused(_CATALOGS):
        try:
            reply = await request_sync(it.session.api, target, {"CatalogID": name})
        except OcsyncError as error:
            return Measured("refuse", f"refused: {refusal_of(error)}")
        early = await it.messages(_CATALOGS, name, skip=skip)
    late = await it.messages(_CATALOGS, name, skip=skip, wanted=early + 1) - early
    text = f"{reply.status}; {count(early, 'message')} before the unpause, {late} after it"
    return Measured("deliver" if early else "hold", text)


async def _quiet(it: Experiment, product: str) -> int:
    """Wait until no more messages about a new product arrive; return the log's length then."""
    await it.settled(_PRODUCTS, product)
    await it.messages(_PRODUCTS, product, skip=0, wanted=10)
    return it.position()


async def inventory_feeds(it: Experiment) -> Measured:
    """Change an inventory record, and look for messages about its product."""
    it.need_listener(_PRODUCTS)
    address = await it.made.create("addresses", Street1="1 Dock Road", City="Hamburg", Country="DE")
    product = await it.made.create("products", Active=True, Inventory={"Enabled": True})
    records = f"products/{product}/inventoryrecords"
    record = await it.made.create(records, AddressID=address, QuantityAvailable=1)
    skip = await _quiet(it, product)
    await it.made.patch(f"/{records}/{record}", QuantityAvailable=2)
    came = await it.messages(_PRODUCTS, product, skip=skip)
    text = f"{count(came, 'message')} about the product of an inventory record that changed"
    return Measured("products" if came else "nothing", text)


async def product_resync(it: Experiment) -> Measured:
    """Change a catalog, and look for messages about a product in it."""
    it.need_listener(_CATALOGS, _PRODUCTS)
    catalog = await it.made.create("catalogs", Active=True)
    product = await it.made.create("products", Active=True)
    link = {"CatalogID": catalog, "ProductID": product}
    await it.made.write("POST", "/catalogs/productassignments", link)
    skip = await _quiet(it, product)
    await it.made.patch(f"/catalogs/{catalog}", Active=False)
    came = await it.messages(_PRODUCTS, product, skip=skip)
    text = f"{count(came, 'message')} about a product of the deactivated catalog"
    return Measured("touched" if came else "own", text)
