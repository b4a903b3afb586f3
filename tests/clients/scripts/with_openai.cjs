// openai's client for Node as its README has it; tells what telling.py says. Not a module: only `require` heeds NODE_PATH.
const { text } = require("node:stream/consumers");
const { OpenAI } = require("openai");

async function embed(url, model, texts) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
  try {
    const answer = await client.embeddings.create({ model, input: texts });
    return { vectors: answer.data.map((entry) => entry.embedding), tokens: answer.usage.prompt_tokens };
  } catch (error) {
    return { error: error.constructor.name, message: error.message, code: error.code, status: error.status };
  }
}

async function tell(tasks) {
  const told = [];
  for (const task of tasks) told.push(await embed(process.argv[2], task.model, task.texts));
  process.stdout.write(JSON.stringify(told));
}

text(process.stdin).then((tasks) => tell(JSON.parse(tasks)));
