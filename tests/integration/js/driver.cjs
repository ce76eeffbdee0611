// One KMS call for each line of standard input, by the AWS SDK for JavaScript; one line of JSON for what came of it.
// usage: node driver.cjs FOLDER-OF-node_modules
"use strict";
const kms = require("node:module").createRequire(process.argv[2] + "/")("@aws-sdk/client-kms");
const readline = require("node:readline");

// Bytes and times have no JSON of their own.
function encode(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) return { $time: value.getTime() / 1000 };
  if (Array.isArray(value)) return value.map(encode);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).filter(([k, v]) => k !== "$metadata" && v !== undefined).map(([k, v]) => [k, encode(v)]));
}

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== "object") return value;
  if ("$bytes" in value) return new Uint8Array(Buffer.from(value.$bytes, "base64"));
  if ("$time" in value) return new Date(value.$time * 1000);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v)]));
}

const clients = new Map();
function clientFor({ url, region, credentials }) {
  const id = JSON.stringify([url, region, credentials]);
  if (!clients.has(id)) clients.set(id, new kms.KMSClient({ endpoint: url, region, credentials, maxAttempts: 1 }));
  return clients.get(id);
}

async function call(asked) {
  try {
    return { answer: encode(await clientFor(asked).send(new kms[asked.operation + "Command"](decode(asked.request)))) };
  } catch (error) {
    return {
      error: error.name,
      message: error.message,
      status: error.$metadata?.httpStatusCode,
      modelled: error.name in kms,
      instance: error instanceof (kms[error.name] ?? kms.KMSServiceException) && error instanceof kms.KMSServiceException,
    };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin }))
    process.stdout.write(JSON.stringify(await call(JSON.parse(line))) + "\n");
}

main();
