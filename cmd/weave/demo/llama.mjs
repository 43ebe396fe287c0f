// Measures llama.cpp, as the npm package node-llama-cpp carries it, on a GGUF: reading 256 tokens and decoding alone.
//   npm i --ignore-scripts node-llama-cpp && node llama.mjs MODEL.gguf THREADS
import { getLlama } from "node-llama-cpp";

const [path, threads] = [process.argv[2], Number(process.argv[3] ?? 2)];
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath: path });
const context = await model.createContext({ contextSize: 1024, threads: { ideal: threads, min: threads }, batchSize: 256 });
const sequence = context.getSequence();
const text = "Water stands ankle-deep between the shelves, and the lamps have been lit by somebody who is no longer here. ".repeat(14);
const ids = model.tokenize(text).slice(0, 256);
const median = (x) => x.sort((a, b) => a - b)[Math.floor(x.length / 2)];
const reads = [], decodes = [];
for (let round = 0; round < 6; round++) {
  await sequence.clearHistory();
  let t = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(ids);
  reads.push(256 / (performance.now() - t) * 1000);
  await sequence.clearHistory();
  await sequence.evaluateWithoutGeneratingNewTokens(ids.slice(0, 32));
  t = performance.now();
  let n = 0;
  for await (const token of sequence.evaluate([ids[32]], { temperature: 0 })) if (++n === 48) break;
  decodes.push(n / (performance.now() - t) * 1000);
}
console.log(JSON.stringify({ name: "llama.cpp", read_tok_s: median(reads.slice(1)), decode_tok_s: median(decodes.slice(1)) }));
process.exit(0);
