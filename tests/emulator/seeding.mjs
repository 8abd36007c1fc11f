// Seeds a marketplace with the seeding tool and downloads it again, through the proxy that
// http_proxy names. The first argument is the folder of its node_modules, the second a file of
// seeds. It prints {messages, downloaded}.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/package.json");
const { seed, download } = require("@ordercloud/seeding");
const rawData = require("js-yaml").load(readFileSync(process.argv[3], "utf8"));

const messages = [];
const options = {
  marketplaceID: "emulator",
  username: "portal",
  password: "portal",
  logger: (text, type) => messages.push(`${type}: ${text}`),
};
await seed({ ...options, marketplaceName: "Seeded", rawData });
const downloaded = await download(options);
console.log(JSON.stringify({ messages, downloaded }));
process.exit(0); // the tool's timer that refreshes tokens goes on otherwise
