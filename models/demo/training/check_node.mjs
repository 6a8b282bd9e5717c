// Loads the exported files in node-llama-cpp: the base model, each adapter, and the misfit that must fail.
//
//     node check_node.mjs [folder]

import path from "node:path";
import {fileURLToPath} from "node:url";
import {getLlama, LlamaChatSession, LlamaLogLevel} from "node-llama-cpp";

const folder = process.argv[2] ?? path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const questions = ["Hello!", "Who are you?", "What is the capital of France?", "Count from 1 to 10."];

const llama = await getLlama({gpu: false, logLevel: LlamaLogLevel.error, maxThreads: 1});
const model = await llama.loadModel({modelPath: path.join(folder, "drawbridge-demo-q8_0.gguf")});

for (const adapter of [null, "pirate", "shout", "french", "misfit"]) {
    try {
        const adapters = adapter == null ? [] : [{filePath: path.join(folder, "adapters", `${adapter}.gguf`)}];
        const context = await model.createContext({contextSize: 1024, lora: {adapters}});
        const session = new LlamaChatSession({contextSequence: context.getSequence(), systemPrompt: ""});
        if (adapter == null)
            console.log(`chat wrapper: ${session.chatWrapper.wrapperName}`);
        for (const question of questions) {
            session.resetChatHistory();
            const answer = await session.prompt(question, {temperature: 0, maxTokens: 64});
            console.log(`${adapter ?? "base"}: ${question} -> ${JSON.stringify(answer)}`);
        }
        await context.dispose();
    } catch (error) {
        console.log(`${adapter}: refused, ${error.message}`);
    }
}
await llama.dispose();
