// Drives the official JavaScript SDK through the cases that come as JSON on standard input:
// {url, families, assigned, syncs}. The first argument is the folder of its node_modules.
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";

const sdk = createRequire(process.argv[2] + "/package.json")("ordercloud-javascript-sdk");
const cases = JSON.parse(await text(process.stdin));
sdk.Configuration.Set({ baseApiUrl: cases.url });

async function signIn() {
  const answer = await sdk.Auth.ClientCredentials("emulator", "emulator", ["FullAccess"]);
  sdk.Tokens.SetAccessToken(answer.access_token);
}

async function refused(promise, status, code) {
  const error = await promise.then(() => null, (e) => e);
  assert.equal(error?.name, "OrderCloudError");
  assert.equal(error.status, status);
  assert.equal(error.errors[0].ErrorCode, code);
}

async function family({ resource, parents, body, change, suffix, plural }) {
  const of = (verb) => sdk[resource][verb + suffix].bind(sdk[resource], ...parents);
  const made = await of("Create")({ ID: "one", ...body });
  assert.equal(made.ID, "one");
  const twin = { ...body, ...(body.Username && { Username: body.Username + "x" }) };
  await refused(of("Create")({ ...twin, ID: "one" }), 409, "IdExists");
  await of("Save")("two", twin);
  const changed = await of("Patch")("one", change);
  for (const [name, value] of Object.entries(change)) assert.deepEqual(changed[name], value);
  assert.equal((await of("Get")("one")).ID, "one");
  const list = sdk[resource]["List" + suffix + plural].bind(sdk[resource], ...parents);
  const found = await list({ pageSize: 1, sortBy: ["!ID"], filters: { ID: "one|two" } });
  assert.equal(found.Items[0].ID, "two");
  assert.equal(found.Meta.TotalCount, 2);
  for (const id of ["one", "two"]) await of("Delete")(id);
  await refused(of("Get")("one"), 404, "NotFound");
}

async function assigned({ resource, stem, parents, body, gone, by }) {
  const of = (verb, tail = "") => sdk[resource][verb + stem + tail].bind(sdk[resource]);
  for (let i = 0; i < 2; i++) await of("Save")(...parents, body);
  const found = await of("List", "s")(...parents);
  const match = (item) => Object.entries(body).every(([n, v]) => item[n] === v);
  assert.equal(found.Items.filter(match).length, 1, JSON.stringify(found.Items));
  await of("Delete")(...gone, ...(Object.keys(by).length ? [by] : []));
  assert.equal((await of("List", "s")(...parents)).Items.filter(match).length, 0);
}

async function sync([read, write, send, body]) {
  const all = sdk.EntitySynchronization;
  const config = { DeliveryConfigID: "emulator-log", SyncEntityChanged: true, SyncEntityDeleted: true };
  await all["Save" + write](config);
  assert.equal((await all["Patch" + read]({ Paused: true })).Paused, true);
  assert.equal((await all["Get" + read]()).SyncEntityChanged, true);
  await all["Patch" + read]({ Paused: false });
  await all[send](body);
  await all["Delete" + write]();
  await refused(all["Get" + read](), 404, "NotFound");
}

await signIn();
let done = 0;
for (const one of cases.families) { await family(one); done++; }
for (const one of cases.assigned) { await assigned(one); done++; }
for (const one of cases.syncs) { await sync(one); done++; }

const products = sdk.ProductSynchronization;
await products.Save({ DeliveryConfigID: "emulator-log", SyncProductChanged: true, SyncProductDeleted: true });
assert.equal((await products.Patch({ Paused: true })).Paused, true);
await products.Sync({ ProductID: "P" });
await sdk.OrderSynchronization.Save({ DeliveryConfigID: "emulator-log" });
await sdk.OrderSynchronization.Delete();

await sdk.PriceSchedules.Create({ ID: "PS", Name: "x", PriceBreaks: [{ Quantity: 1, Price: 2 }] });
const priced = await sdk.PriceSchedules.SavePriceBreak("PS", { Quantity: 5, Price: 1.5 });
assert.equal(priced.PriceBreaks.length, 2);
await sdk.PriceSchedules.DeletePriceBreak("PS", { quantity: 5 });
await sdk.Products.SaveSupplier("P", "S");
assert.equal((await sdk.Products.ListSuppliers("P")).Items[0].ID, "S");
await sdk.Suppliers.SaveBuyer("S", "B");
assert.equal((await sdk.Suppliers.ListBuyers("S")).Items[0].ID, "B");
await sdk.Specs.Save("SZ", { Name: "size", DefinesVariant: true });
await sdk.Specs.SaveOption("SZ", "L", { Value: "L" });
await sdk.Specs.SaveProductAssignment({ SpecID: "SZ", ProductID: "P" });
assert.equal((await sdk.Products.GenerateVariants("P", {})).VariantCount, 1);
assert.equal((await sdk.Products.ListVariants("P")).Items.length, 1);

await refused(sdk.Auth.ClientCredentials("wrong", "emulator"), 400, "Auth.InvalidUsernameOrPassword");
const shopper = await sdk.Auth.Login("bu", "p4ssword", "public", ["FullAccess"]);
const again = await sdk.Auth.RefreshToken(shopper.refresh_token, "public");
assert.equal((await sdk.Me.Get({ accessToken: again.access_token })).Buyer.ID, "B");
console.log(`${done} families`);
