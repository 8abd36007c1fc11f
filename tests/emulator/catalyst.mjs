// A server that checks the signatures of messages as Catalyst does. The first argument is the
// folder of its node_modules, the second the secret. It prints its port, then a line a request:
// {"valid": ..., "body": ...}.
import { createRequire } from "node:module";
import { createServer } from "node:http";

const catalyst = createRequire(process.argv[2] + "/package.json")("@ordercloud/catalyst");

const server = createServer(async (request, response) => {
  const valid = await catalyst.isOcHashValid(request, process.argv[3]);
  console.log(JSON.stringify({ valid, body: request.body }));
  response.writeHead(200).end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
