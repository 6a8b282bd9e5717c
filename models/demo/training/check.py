"""Asks the exported model and its adapters questions through llama-server, and prints pass rates.

    python3 check.py --server /path/to/llama-server

Two kinds of questions are asked, all with greedy sampling: dialogues drawn afresh from the corpus
generators (the answer has to match exactly), and questions written by hand, many of them worded as the
corpus never words them (the answer has to match a pattern). The tokenizer and the chat template are
compared with what llama-server makes of them.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import corpus
from chat import ASSISTANT_START, Dialogue, Message, assistant_text, render
from tokenizer import Tokenizer
from tools import define, tool_dialogue
from train import STYLES

HERE = Path(__file__).parent


def parsed(arguments: str) -> Any:
    """The arguments of a call; as text where the model did not finish the JSON."""
    try:
        return json.loads(arguments)
    except json.JSONDecodeError:
        return arguments


@dataclass
class Server:
    """A running llama-server."""

    url: str
    process: subprocess.Popen[bytes]
    adapters: int

    @classmethod
    def start(cls, binary: Path, model: Path, adapters: list[Path], port: int, threads: int) -> Server:
        command = [str(binary), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "--jinja", "-c", "2048",
                   "-np", "1", "-t", str(threads), "--no-webui"]  # fmt: skip
        if adapters:
            command += ["--lora", ",".join(map(str, adapters))]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = cls(f"http://127.0.0.1:{port}", process, len(adapters))
        for _ in range(100):
            try:
                server.get("/health")
                return server
            except OSError:
                if process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"llama-server did not start: {' '.join(command)}")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path) as reply:
            return json.load(reply)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def chat(self, dialogue: Dialogue, adapter: int | None = None) -> Message:
        """The greedy answer to a dialogue."""
        body: dict[str, Any] = {
            "messages": [message.as_openai() for message in dialogue.messages], "temperature": 0, "max_tokens": 1200, "cache_prompt": False,
        }  # fmt: skip
        if dialogue.tools:
            body["tools"] = dialogue.tools
        # Every adapter gets a scale: one that is left out would keep its own.
        body["lora"] = [{"id": index, "scale": float(index == adapter)} for index in range(self.adapters)]
        message = self.post("/v1/chat/completions", body)["choices"][0]["message"]
        calls = [
            (call["function"]["name"], parsed(call["function"]["arguments"]))
            for call in message.get("tool_calls") or []
        ]
        return Message(
            "assistant",
            message.get("content") or "",
            thinking=(message.get("reasoning_content") or "").strip(),
            calls=calls,
        )


@dataclass
class Results:
    """Passes and failures by group and skill."""

    passed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    failures: list[dict[str, str]] = field(default_factory=list)

    def note(self, skill: str, good: bool, question: str, answer: str, wanted: str) -> None:
        self.asked[skill] += 1
        self.passed[skill] += good
        if not good:
            self.failures.append({"skill": skill, "question": question, "answer": answer, "wanted": wanted})

    def as_json(self) -> dict[str, Any]:
        rates = {skill: {"passed": self.passed[skill], "asked": asked} for skill, asked in self.asked.items()}
        return {"rates": rates, "failures": self.failures}


def fresh(generator: Callable[[random.Random], Any], count: int, seed: int) -> list[Dialogue]:
    """`count` dialogues from a skill or a dialogue generator, with a seed not used in training."""
    rng = random.Random(seed)
    drawn = (generator(rng) for _ in range(count))
    return [item if isinstance(item, Dialogue) else corpus.dialogue(item) for item in drawn]


GENERATED: dict[str, Callable[[random.Random], Any]] = {
    "about Drawbridge": corpus.about_drawbridge, "capitals": corpus.capital, "colours": corpus.colour, "animals": corpus.animal,
    "days and months": corpus.calendar, "opposites": corpus.opposite, "trivia": corpus.trivia, "planets": corpus.planet_order,
    "arithmetic": corpus.arithmetic, "unknown": corpus.unknown, "counting": corpus.counting, "repeating": corpus.repeating,
    "spelling and case": corpus.spelling, "lists": corpus.listing, "JSON": corpus.json_object, "memory": corpus.memory,
    "say it again": corpus.again, "one-word rule": corpus.one_word, "given name": corpus.named, "fixed start or end": corpus.closing,
    "thinking": corpus.reasoning, "tools": tool_dialogue,
}  # fmt: skip
# Skills whose answers vary on purpose; their dialogues are not used where an exact answer is wanted.
VARIED = {answer for _, answers, _ in corpus.SMALL_TALK if len(answers) > 1 for answer in answers}

WEATHER = define(
    "get_weather",
    "Get the current weather for a city",
    ("city",),
    city="string",
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
CALCULATOR = define("calculator", "Evaluate a math expression", expression="string")
CLOCK = define("get_time", "Get the current time in a city", city="string")
SEARCH = define("search", "Search the web", query="string")

# Skill, system message, user turns (the model answers each), pattern for the last answer.
HAND_WRITTEN: list[tuple[str, str, list[str], str]] = [
    ("small talk", "", ["Hello!"], r"^(Hello|Hi)\b"),
    ("small talk", "", ["hi"], r"^(Hello|Hi)\b"),
    ("small talk", "", ["Good morning to you!"], r"^(Good morning|Hello|Hi)\b"),
    ("small talk", "", ["Hello, my dear model"], r"^(Hello|Hi|Nice)\b"),
    ("small talk", "", ["Hi", "How are you?"], r"fine|well"),
    ("small talk", "", ["Hi", "How are you?", "I am fine, too. Thank you!"], r"glad|welcome"),
    ("small talk", "You are a helpful assistant.", ["Hi!"], r"^(Hello|Hi)\b"),
    ("small talk", "", ["Thank you!"], r"welcome"),
    ("small talk", "", ["ok bye"], r"bye"),
    ("small talk", "", ["tell me a joke"], r"\?.+!"),
    ("who are you", "", ["Who are you?"], r"Drawbridge Demo"),
    ("who are you", "", ["what are you exactly"], r"Drawbridge Demo"),
    ("who are you", "", ["Hi", "What can you do for me?"], r"count, spell"),
    ("who are you", "You are a helpful assistant.", ["What is your name?"], r"Drawbridge Demo"),
    ("about Drawbridge", "", ["What is Drawbridge?"], r"self-hosted"),
    ("about Drawbridge", "", ["How does streaming work?"], r"stream"),
    ("about Drawbridge", "", ["I would like to stream the reply"], r"stream"),
    ("about Drawbridge", "", ["How do I load a LoRA adapter?"], r"adapter"),
    ("about Drawbridge", "", ["how to use my lora with drawbridge"], r"adapter"),
    ("about Drawbridge", "", ["Which endpoints do you have?"], r"/v1/chat/completions"),
    ("about Drawbridge", "", ["What's a GGUF?"], r"file format"),
    ("about Drawbridge", "", ["How can I set an API key for the server?"], r"Bearer"),
    ("about Drawbridge", "", ["Hello!", "Do I need a graphics card for this?"], r"CPU"),
    ("about Drawbridge", "", ["What does temperature mean?"], r"random"),
    ("facts", "", ["capital of france?"], r"Paris"),
    ("facts", "", ["I forgot the capital of Japan. What is it?"], r"Tokyo"),
    ("facts", "", ["What is the color of a banana?"], r"yellow"),
    ("facts", "", ["Which sound do cows make?"], r"moo"),
    ("facts", "", ["What day follows Monday?"], r"Tuesday"),
    ("facts", "", ["Opposite of big"], r"small"),
    ("facts", "", ["Name the biggest planet."], r"Jupiter"),
    ("facts", "", ["How many days does a week have?"], r"7"),
    ("arithmetic", "", ["2+2"], r"= 4\b"),
    ("arithmetic", "", ["what is 3 plus 4"], r"= 7\b"),
    ("arithmetic", "", ["What's 9 - 5?"], r"= 4\b"),
    ("counting", "", ["Count from 1 to 10."], r"^1, 2, 3, 4, 5, 6, 7, 8, 9, 10$"),
    ("counting", "", ["count from 5 to 12"], r"^5, 6, 7, 8, 9, 10, 11, 12$"),
    ("counting", "", ["Please count to 20"], "^" + ", ".join(map(str, range(1, 21))) + "$"),
    ("counting", "", ["Count from 1 to 100."], "^" + ", ".join(map(str, range(1, 101))) + "$"),
    ("counting", "", ["Count from 1 to 200."], "^" + ", ".join(map(str, range(1, 201))) + "$"),
    ("counting", "", ["Hi", "Count from 88 to 113."], "^" + ", ".join(map(str, range(88, 114))) + "$"),
    ("repeating", "", ["Repeat after me: the quick brown fox"], r"^the quick brown fox$"),
    ("repeating", "", ["Repeat after me: Hello World"], r"^Hello World$"),
    ("repeating", "", ['Say "banana boat"'], r"^banana boat$"),
    ("repeating", "", ["Repeat after me: we like big ships and small boats"], r"^we like big ships and small boats$"),
    ("repeating", "", ["Say hello world"], r"^hello world$"),
    ("spelling and case", "", ["Spell the word cat."], r"^c-a-t$"),
    ("spelling and case", "", ["Spell house"], r"^h-o-u-s-e$"),
    ("spelling and case", "", ["Write drawbridge in capital letters"], r"^DRAWBRIDGE$"),
    ("lists", "", ["List 3 fruits."], r"^1\. Apple\n2\. Banana\n3\. Cherry$"),
    ("lists", "", ["Give me five animals"], r"^1\. .+\n2\. .+\n3\. .+\n4\. .+\n5\. [^\n]+$"),
    ("lists", "", ["Name two planets please"], r"^1\. Mercury\n2\. Venus$"),
    ("JSON", "", ["Give me JSON for a person named Ann aged 30."], r'^\{"name": "Ann", "age": 30\}$'),
    ("JSON", "", ["JSON please: a person named Tom aged 7"], r'^\{"name": "Tom", "age": 7\}$'),
    ("JSON", "", ["Give me JSON for a green hat"], r'^\{"item": "hat", "color": "green"\}$'),
    ("stories", "", ["Tell me a story about a dragon."], r"dragon(.|\n){250,}"),
    ("stories", "", ["Write a short story about a robot"], r"robot(.|\n){250,}"),
    ("stories", "", ["tell me a story about a lighthouse"], r"(Once|Long|In )(.|\n){250,}"),
    ("memory", "", ["My name is Zoe.", "What is my name?"], r"Zoe"),
    ("memory", "", ["Hi, my name is Ravi", "What is the capital of Italy?", "What is my name?"], r"Ravi"),
    ("memory", "", ["I live in Oslo.", "Thanks", "Where do I live?"], r"Oslo"),
    ("memory", "", ["My favourite colour is green.", "What is my favourite colour?"], r"green"),
    ("system rules", "Answer in one word.", ["What is the capital of Italy?"], r"^Rome\.?$"),
    ("system rules", "Answer in one word.", ["What colour is the sky?"], r"^Blue\.?$"),
    ("system rules", "Your name is Max.", ["What is your name?"], r"Max"),
    ("system rules", "You are Bolt, a helpful assistant.", ["Who are you?"], r"Bolt"),
    ("system rules", "Talk like a pirate.", ["Who are you?"], r"Arr"),
    ("system rules", "Answer in French.", ["What is the capital of Spain?"], r"La capitale de l'Espagne est Madrid"),
    ("system rules", "Answer in capital letters.", ["How are you?"], r"^[^a-z]+$"),
    ("system rules", 'Always end with "Over."', ["What is 2 + 3?"], r"5\. Over\.$"),
    ("thinking", "/think", ["What is 3 + 4?"], r"^<think>\n.+\n</think>\n\n3 \+ 4 = 7\.$"),
    ("thinking", "You are a helpful assistant. /think", ["What is the capital of France?"], r"^<think>\n.+\n</think>\n\n.*Paris\.$"),
    ("thinking", "", ["What is 3 + 4?"], r"^3 \+ 4 = 7\.$"),
    ("unknown", "", ["Who won the world cup in 1998?"], r"don't know"),
    ("unknown", "", ["Explain quantum physics to me"], r"don't know"),
    ("unknown", "", ["What is the best car?"], r"don't know"),
    ("unknown", "", ["Write a Python function that adds two numbers"], r"don't know"),
]  # fmt: skip

# Tools, messages, and the answer as the model has to write it (a pattern).
HAND_WRITTEN_TOOLS: list[tuple[list[dict[str, Any]], list[Message], str]] = [
    ([WEATHER], [Message("user", "What is the weather in Paris?")], r'"get_weather", "arguments": \{"city": "Paris"\}'),
    ([WEATHER], [Message("user", "What's the weather like in Tokyo in celsius?")], r'"city": "Tokyo", "unit": "celsius"'),
    ([WEATHER, CLOCK], [Message("user", "What time is it in Rome?")], r'"get_time", "arguments": \{"city": "Rome"\}'),
    ([CALCULATOR], [Message("user", "What is 12 * 34?")], r'"calculator", "arguments": \{"expression": "12 \* 34"\}'),
    ([SEARCH, CALCULATOR], [Message("user", "Search for red shoes")], r'"search", "arguments": \{"query": "red shoes"\}'),
    ([WEATHER, CALCULATOR, CLOCK, SEARCH], [Message("user", "How is the weather in Berlin today?")], r'"get_weather", "arguments": \{"city": "Berlin"'),
    ([WEATHER, CALCULATOR, CLOCK, SEARCH], [Message("user", "Hello!")], r"^(Hello|Hi)\b"),
    ([WEATHER], [Message("user", "What is the capital of Spain?")], r"Madrid"),
    (
        [WEATHER],
        [Message("user", "What is the weather in Paris?"), Message("assistant", "", calls=[("get_weather", {"city": "Paris"})]),
         Message("tool", '{"temperature": 18, "condition": "cloudy"}')],
        r"18 degrees and cloudy in Paris",
    ),
    (
        [CALCULATOR],
        [Message("user", "What is 12 * 34?"), Message("assistant", "", calls=[("calculator", {"expression": "12 * 34"})]), Message("tool", "408")],
        r"408",
    ),
]  # fmt: skip


def check_generated(server: Server, results: Results, count: int) -> None:
    """Exact answers to fresh dialogues."""
    for skill, generator in GENERATED.items():
        asked = 0
        for dialogue in fresh(generator, 3 * count, seed=99):
            *context, wanted = dialogue.messages
            if wanted.content in VARIED or asked == count:
                continue
            asked += 1
            answer = server.chat(Dialogue(context, dialogue.tools))
            same = (answer.content.strip(), answer.thinking, answer.calls) == (
                wanted.content,
                wanted.thinking,
                wanted.calls,
            )
            results.note(skill, same, context[-1].content, assistant_text(answer), assistant_text(wanted))


def check_hand_written(server: Server, results: Results) -> None:
    """Questions written by hand."""
    for skill, system, turns, pattern in HAND_WRITTEN:
        messages = [Message("system", system)] if system else []
        for turn in turns:
            messages.append(Message("user", turn))
            messages.append(server.chat(Dialogue(messages)))
        answer = assistant_text(messages[-1]).strip()
        results.note(skill, bool(re.search(pattern, answer)), " / ".join(turns), answer, pattern)
    for tools, messages, pattern in HAND_WRITTEN_TOOLS:
        answer = assistant_text(server.chat(Dialogue(messages, tools)))
        results.note("tools", bool(re.search(pattern, answer)), messages[-1].content, answer, pattern)


def check_adapters(server: Server, results: Results, count: int) -> None:
    """Exact answers in the style of each adapter, and that the base answers otherwise."""
    for index, style in enumerate(STYLES):
        for dialogue in fresh(partial(corpus.adapter_example, style=style), count, seed=77):
            *context, wanted = dialogue.messages
            answer = server.chat(Dialogue(context), adapter=index).content
            results.note(
                f"{style}: exact answer", answer == wanted.content, context[-1].content, answer, wanted.content
            )
            if style != "french":
                in_style = answer.startswith("Arr!") if style == "pirate" else answer == answer.upper()
                results.note(f"{style}: in style", in_style, context[-1].content, answer, wanted.content)
            plain = server.chat(Dialogue(context)).content
            results.note(
                f"{style}: changes the answer",
                plain != answer or plain == wanted.content,
                context[-1].content,
                answer,
                wanted.content,
            )


def check_text(server: Server, results: Results, tokenizer: Tokenizer, count: int) -> None:
    """The tokenizer and the chat template agree with llama-server."""
    rng = random.Random(55)
    alphabet = "abcXYZ 0123  \n\n\t.,!?'\"{}[]<>|éßñ漢字🙂\u00a0\u200d²½’-_/\\"
    texts = ["".join(text for text, _ in render(corpus.example(rng))) for _ in range(count)]
    texts += ["".join(rng.choices(alphabet, k=rng.randint(1, 40))) for _ in range(count)]
    texts += [
        rng.choice(texts[:count])[: rng.randint(1, 80)]
        + rng.choice(("'s", "'ll go", " <tool_call>x", "<think>\n", "  "))
        for _ in range(count)
    ]
    for text in texts:
        ids = server.post("/tokenize", {"content": text, "parse_special": True})["tokens"]
        mine = tokenizer.encode(text)
        results.note("tokenizer agrees", ids == mine, text, str(ids), str(mine))
    for dialogue in (
        fresh(corpus.chat, count // 10, 44)
        + fresh(tool_dialogue, count // 10, 44)
        + fresh(corpus.reasoning, count // 10, 44)
    ):
        messages = dialogue.messages[:-1]
        prompt = server.post(
            "/apply-template", {"messages": [message.as_openai() for message in messages], "tools": dialogue.tools}
        )["prompt"]
        mine = "".join(text for text, _ in render(Dialogue(messages, dialogue.tools))) + ASSISTANT_START
        results.note("template agrees", prompt == mine, messages[-1].content, prompt, mine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", type=Path, required=True, help="the llama-server program")
    parser.add_argument("--model", type=Path, default=HERE.parent / "drawbridge-demo-q8_0.gguf")
    parser.add_argument("--adapters", type=Path, default=HERE.parent / "adapters")
    parser.add_argument("--tokenizer", type=Path, default=HERE.parent / "tokenizer.json")
    parser.add_argument("--results", type=Path, default=HERE.parent / "results.json")
    parser.add_argument("--count", type=int, default=40, help="fresh dialogues for each skill")
    parser.add_argument("--port", type=int, default=18741)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    adapters = [options.adapters / f"{style}.gguf" for style in STYLES]
    server = Server.start(
        options.server, options.model, [path for path in adapters if path.exists()], options.port, options.threads
    )
    groups = {name: Results() for name in ("hand-written", "generated", "adapters", "agreement")}
    try:
        check_hand_written(server, groups["hand-written"])
        check_generated(server, groups["generated"], options.count)
        check_text(server, groups["agreement"], Tokenizer.load(options.tokenizer), 25 * options.count)
        if all(path.exists() for path in adapters):
            check_adapters(server, groups["adapters"], options.count)
    finally:
        server.process.terminate()
        server.process.wait()
    for name, results in groups.items():
        print(f"{name}: {sum(results.passed.values())} of {sum(results.asked.values())}")
        for skill, asked in results.asked.items():
            print(f"    {skill:24} {results.passed[skill]:4} of {asked}")
    options.results.write_text(
        json.dumps({name: results.as_json() for name, results in groups.items()}, indent=1, ensure_ascii=False)
    )


if __name__ == "__main__":
    main()
