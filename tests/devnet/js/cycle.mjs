// The JavaScript stellar-sdk farms on a devnet it knows by its address alone.
//
// usage: node cycle.mjs URL
//
// A farmer earns KALE in one block, stakes some of it in the next (somebody else's account sends
// that plant, the farmer signs its authorization entry) and harvests both. What the network said on
// the way is printed as one JSON document, for the caller to check against the contract's rules.

import { setTimeout as pause } from 'node:timers/promises';
import { keccak_256 } from '@noble/hashes/sha3';
import {
  Address, Asset, Contract, Keypair, Operation, TransactionBuilder,
  authorizeEntry, nativeToScVal, rpc, scValToNative, xdr,
} from '@stellar/stellar-sdk';

const POLL_MS = 10;
const MAX_POLLS = 3_000;
const BID = '200';
const AUTHORIZED_LEDGERS = 1_000;

const [url] = process.argv.slice(2);
const network = await (await fetch(url)).json();
const server = new rpc.Server(network.rpc_url, { allowHttp: true });
const { passphrase } = await server.getNetwork();
const [code, issuer] = network.kale_asset.split(':');
const kale = new Asset(code, issuer);

const stroops = (amount) => nativeToScVal(amount, { type: 'i128' });
const u32 = (number) => nativeToScVal(number, { type: 'u32' });
const address = (keys) => new Address(keys.publicKey()).toScVal();

async function transaction(source, operation) {
  const account = await server.getAccount(source.publicKey());
  return new TransactionBuilder(account, { fee: BID, networkPassphrase: passphrase })
    .addOperation(operation).setTimeout(300).build();
}

async function land(signed) {
  const sent = await server.sendTransaction(signed);
  if (sent.status !== 'PENDING') throw new Error(`not taken: ${JSON.stringify(sent)}`);
  const options = { attempts: MAX_POLLS, sleepStrategy: () => POLL_MS };
  const found = await server.pollTransaction(sent.hash, options);
  if (found.status !== 'SUCCESS') throw new Error(`${found.status}: ${sent.hash}`);
  return found;
}

async function call(source, contract, method, ...args) {
  const wanted = await transaction(source, new Contract(contract).call(method, ...args));
  const prepared = await server.prepareTransaction(wanted);
  prepared.sign(source);
  return scValToNative((await land(prepared)).returnValue);
}

// Simulate a call, have another account sign the authorization entry that it needs, then send it.
async function callFor(signer, source, contract, method, ...args) {
  const unsigned = new Contract(contract).call(method, ...args);
  const simulated = await server.simulateTransaction(await transaction(source, unsigned));
  if (rpc.Api.isSimulationError(simulated)) throw new Error(simulated.error);
  const auth = await Promise.all(simulated.result.auth.map((entry) =>
    authorizeEntry(entry, signer, simulated.latestLedger + AUTHORIZED_LEDGERS, passphrase)));
  const authorized = Operation.invokeContractFunction({ contract, function: method, args, auth });
  const prepared = await server.prepareTransaction(await transaction(source, authorized));
  prepared.sign(source);
  await land(prepared);
  return auth.map((entry) => entry.credentials().switch().name);
}

async function balance(keys) {
  const read = await transaction(keys, new Contract(network.sac_contract).call('balance', address(keys)));
  const simulated = await server.simulateTransaction(read);
  return scValToNative(simulated.result.retval);
}

// Contract data as the SDK decodes it, and as XDR for the caller.
async function entry(key, durability) {
  const found = await server.getContractData(network.kale_contract, key, durability);
  const value = found.val.contractData().val();
  return { value, xdr: value.toXDR('base64'), liveUntil: found.liveUntilLedgerSeq };
}

const temporary = (...parts) => entry(xdr.ScVal.scvVec(parts), rpc.Durability.Temporary);
const block = (index) => temporary(nativeToScVal('Block', { type: 'symbol' }), u32(index));
const pail = (keys, index) => temporary(nativeToScVal('Pail', { type: 'symbol' }), address(keys), u32(index));

async function farm() {
  const instance = await entry(xdr.ScVal.scvLedgerKeyContractInstance(), rpc.Durability.Persistent);
  const storage = instance.value.instance().storage();
  return Object.fromEntries(storage.map((item) => [scValToNative(item.key())[0], scValToNative(item.val())]));
}

async function untilDue() {
  const { FarmBlock: record } = await farm();
  const due = record.timestamp + 300n;
  while (BigInt((await server.getLatestLedger()).closeTime) < due) await pause(POLL_MS);
}

async function untilNextLedger() {
  const { sequence } = await server.getLatestLedger();
  while ((await server.getLatestLedger()).sequence === sequence) await pause(POLL_MS);
}

async function prove(keys, index, zeros) {
  const { entropy } = scValToNative((await block(index)).value);
  const message = Buffer.concat([Buffer.alloc(12), entropy, keys.rawPublicKey()]);
  message.writeUInt32BE(index, 0);
  for (let nonce = 0n; ; nonce += 1n) {
    message.writeBigUInt64BE(nonce, 4);
    const hash = Buffer.from(keccak_256(message));
    if (hash.toString('hex').startsWith('0'.repeat(zeros))) return { nonce, hash };
  }
}

async function work(keys, index, zeros) {
  const { nonce, hash } = await prove(keys, index, zeros);
  await untilNextLedger(); // a work in the ledger of its plant has no gap
  return call(keys, network.kale_contract, 'work', address(keys), nativeToScVal(hash),
    nativeToScVal(nonce, { type: 'u64' }));
}

async function newFarmer() {
  const keys = Keypair.random();
  await server.requestAirdrop(keys.publicKey());
  const trust = await transaction(keys, Operation.changeTrust({ asset: kale }));
  trust.sign(keys);
  await land(trust);
  return keys;
}

const farmer = await newFarmer();
const opener = await newFarmer();
const before = (await server.getLatestLedger()).sequence;

await untilDue();
await call(farmer, network.kale_contract, 'plant', address(farmer), stroops(0n));
const { FarmIndex: first } = await farm();
await work(farmer, first, 1);

await untilDue();
await call(opener, network.kale_contract, 'plant', address(opener), stroops(0n));
const firstReward = await call(farmer, network.kale_contract, 'harvest', address(farmer), u32(first));
const earned = await balance(farmer);

const stake = earned / 3n;
await untilDue();
const credentials = await callFor(farmer, opener, network.kale_contract, 'plant', address(farmer), stroops(stake));
const { FarmIndex: second } = await farm();
const staked = await balance(farmer);
const gap = await work(farmer, second, 2);

const again = await server.simulateTransaction(await transaction(farmer,
  new Contract(network.kale_contract).call('plant', address(farmer), stroops(0n))));

await untilDue();
await call(opener, network.kale_contract, 'plant', address(opener), stroops(0n));
const worked = { block: await block(second), pail: await pail(farmer, second) };
const reward = await call(farmer, network.kale_contract, 'harvest', address(farmer), u32(second));

const minted = await server.getEvents({
  startLedger: before,
  filters: [{
    type: 'contract',
    contractIds: [network.sac_contract],
    topics: [[nativeToScVal('mint', { type: 'symbol' }).toXDR('base64'), address(farmer).toXDR('base64'), '*']],
  }],
});
const latest = await server.getLatestLedger();
const listed = await server.getTransactions({ startLedger: before, pagination: { limit: 3 } });

console.log(JSON.stringify({
  first: { index: first, reward: firstReward, balance: earned },
  second: {
    index: second, stake, gap, reward, credentials,
    balance_planted: staked, balance_harvested: await balance(farmer),
    block: worked.block.xdr, pail: worked.pail.xdr, live_until: worked.pail.liveUntil,
  },
  second_plant_error: again.error,
  mints: minted.events.map((event) => scValToNative(event.value)),
  header_sequence: latest.headerXdr.ledgerSeq(), sequence: latest.sequence,
  listed: listed.transactions.map((one) => one.status),
  health: (await server.getHealth()).status,
  protocol: (await server.getVersionInfo()).protocolVersion,
  largest_bid: (await server.getFeeStats()).sorobanInclusionFee.max,
}, (_name, value) => (typeof value === 'bigint' ? value.toString() : value)));
