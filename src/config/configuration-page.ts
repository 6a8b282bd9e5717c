import { optionGroups, optionTable } from './option-text.ts'
import { fieldOf, options } from './options.ts'
import { reloadableFields } from './reloadable-fields.ts'

/** The text of `docs/configuration.md`; a test holds the file equal to it. */
export function configurationPage (): string {
  const sections = [...optionGroups().keys()].map((group) => `## ${group}\n\n${groupNotes[group] ?? ''}${optionTable(group)}\n`)
  return `${introduction}\n${sections.join('\n')}`
}

/** Keys in the file, by whether a running server takes them over; what names a file of keys goes with the keys. */
function fileKeys (isReloadable: boolean): string {
  return options.filter(({ fileKey, target }) => fileKey !== null && target.type !== 'config-file')
    .filter((option) => (option.target.type === 'api-key-file' || (reloadableFields as readonly (string | null)[]).includes(fieldOf(option))) === isReloadable)
    .map(({ fileKey }) => `\`${fileKey}\``).join(', ')
}

const groupNotes: Partial<Record<string, string>> = {
  Models: `A model's name in the API is its alias, else its file's name without \`.gguf\` and without the numbers of a split
file (\`-00001-of-00003\`). The demo model is called \`drawbridge-demo\`; \`demo\` names it too.

`,
  Adapters: `[docs/adapters.md](adapters.md) says how adapters are used. The file can say more of each:

\`\`\`yaml
adapters:
  - pirate=adapters/pirate.gguf@0.8
  - name: support
    ref: adapters/support      # a PEFT folder
    model: assistant           # where there are several models
    scale: 1
    pinned: true               # stays in memory, whatever --max-adapters and --adapter-memory say
    systemPrompt: You answer for the support team.   # of conversations that have no system message
    chatTemplateFile: support.jinja                  # instead of the model's own; or chatTemplate with the text
\`\`\`

`,
  Capacity: `A model's memory is its weights and, for each slot, a KV cache of \`context-size\` tokens that is reserved at the
start, so that a running answer never runs out of it. What is \`auto\` is chosen so that the caches take at most half of
the memory that the weights leave free, and as much of the rest as that leaves too small; what is set explicitly and does
not fit keeps the server from starting. When several models are served, each takes from what those before it leave.

`,
  Batches: `[docs/batches.md](batches.md) says how they are used.

`,
  Configuration: `SIGHUP makes a server that has no terminal read its files again (with one, it means that the terminal was closed, and ends the
server). It takes over these settings (\`logLevel\` not for engine processes), and the TLS certificate, which it also looks after by itself:
${fileKeys(true)}.

Requests that run or wait go on under what they began with. These settings stay until a restart, and those of them that have changed are named in the log:
${fileKeys(false)}.

Settings that are wrong change nothing, and the log says where the mistake is. What flags and variables say cannot change.

`,
  Access: `Each key of \`api-key\` and \`api-key-file\` is a *tenant* of its own: somebody who is charged, and gets a fair share. The file can
say more:

\`\`\`yaml
tenants:
  - name: support          # in logs
    keyFile: support.keys  # or keys: [sk-…]; all of them are one tenant
    weight: 3              # three times the share of a tenant of weight 1, which is the default
    priority: interactive  # goes before normal (the default), which goes before batch
  - name: nightly
    keyFile: nightly.keys
    priority: batch        # fills idle time; its slots may be taken from it
    limits: { tokensPerDay: 5000000, concurrentRequests: 4 }  # of all its keys together (docs/limits.md)
    scopes: [inference]    # inference, models and metrics unless said otherwise
    models: [small-*]      # all unless said otherwise; adapters likewise
  - name: gateway
    keyFile: gateway.keys
    highestPriority: interactive  # the most urgent that its requests may ask for; normal unless said otherwise
    namesUsers: true       # x-llm-d-inference-fairness-id in its requests names the user who is charged, each with the weight of the tenant
\`\`\`

A request asks for a class with \`service_tier\` (\`flex\` is batch, \`priority\` is interactive) or \`priority\` (above 0 is batch, below 0 interactive).
Keys of \`admin-key\` and of tenants with \`admin: true\` may do everything; the others run models, see them, and read \`/metrics\`.
[docs/keys.md](keys.md) has keys with scopes and an end, which are made and revoked while the server runs.
Without keys, everybody's network address is a tenant, and may ask for any class.

`,
  'Fake engine': `\`--model fake\` serves made-up text from a model that computes nothing, at a speed that these set. It is for
measuring the server itself and for trying clients.

`
}

const introduction = `# Configuration

<!-- Written from src/config/options.ts; \`npx vitest run --project unit test/unit/config -u\` writes it again. -->

Every setting has a flag, an environment variable and a key in a YAML file. A flag beats the environment, the environment
beats the file, and what none of them sets has its default. A list (models, origins) of one place replaces that of
another as a whole, but the keys of \`api-key\` and those in the file of \`api-key-file\` add up, wherever each is set. Flags are
repeated, variables hold commas, the file has lists. \`drawbridge --print-config\` shows the result and where each setting
comes from, with secrets hidden.

Times are milliseconds, or have a unit: \`500ms\`, \`30s\`, \`10m\`, \`1h\`, \`7d\`. Sizes are bytes, or have a unit: \`64KiB\`, \`32MiB\`.

A file for \`--config\`, whose relative paths are relative to the file:

\`\`\`yaml
host: 0.0.0.0
apiKeyFile: keys.txt
models:
  - ref: models/assistant-q4_k_m.gguf
    alias: assistant
  - demo
slots: 4
contextSize: 8192
queueTimeout: 30s
\`\`\`

Unknown flags and keys are refused, and so are values out of range; unknown \`DRAWBRIDGE_\` variables get a warning.
`
