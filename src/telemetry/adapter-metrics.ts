import { Counter, Gauge, type Registry } from 'prom-client'
import type { AdapterLibrary } from '../adapters/adapter-library.ts'
import type { AdapterRegistry } from '../adapters/adapter-registry.ts'
import type { AdapterState, AdapterStatus } from '../adapters/adapter-status.ts'
import type { ModelHost } from '../models/model-host.ts'
import type { GenerationRecord } from './observer.ts'

export interface AdapterMetrics {
  generationFinished (generation: GenerationRecord): void
}

const states: readonly AdapterState[] = ['fetching', 'checking', 'loading', 'ready', 'evicted', 'draining', 'failed']

/** What is read from each adapter when somebody scrapes. */
const statusMetrics: readonly { readonly name: string, readonly help: string, readonly value: (status: AdapterStatus) => number }[] = [
  { name: 'drawbridge_adapter_in_flight', help: 'Requests that hold the adapter, over all its versions', value: ({ inFlight }) => inFlight },
  { name: 'drawbridge_adapter_waiting', help: 'Requests that wait for the adapter to be loaded', value: ({ waiting }) => waiting },
  { name: 'drawbridge_adapter_resident_bytes', help: 'Memory of the adapter, over all its versions', value: ({ residentBytes }) => residentBytes },
  { name: 'drawbridge_adapter_generation', help: 'Version that requests get', value: ({ generation }) => generation },
  { name: 'drawbridge_adapter_load_seconds', help: 'How long its last loading took, from the file to memory', value: ({ loadMs }) => (loadMs ?? 0) / 1000 }
]

const registryMetrics: readonly { readonly name: string, readonly help: string, readonly value: (registry: AdapterRegistry) => number }[] = [
  { name: 'drawbridge_adapter_loads_total', help: 'Adapters loaded into memory', value: ({ counts }) => counts.loads },
  { name: 'drawbridge_adapter_load_failures_total', help: 'Adapters that could not be loaded', value: ({ counts }) => counts.failures },
  { name: 'drawbridge_adapter_unloads_total', help: 'Adapters unloaded by the API or with their file', value: ({ counts }) => counts.unloads },
  { name: 'drawbridge_adapter_evictions_total', help: 'Adapters taken out of memory to make room for others', value: ({ counts }) => counts.evictions },
  { name: 'drawbridge_adapter_load_seconds_total', help: 'Time that loading adapters took', value: ({ counts }) => counts.loadMs / 1000 }
]

/** @param hosts the models at the time of a scrape */
export function createAdapterMetrics (registry: Registry, hosts: () => readonly ModelHost[], library: AdapterLibrary): AdapterMetrics {
  const registers = [registry]
  const labelNames = ['model_name', 'adapter']
  for (const { name, help, value } of statusMetrics) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect () {
        gauge.reset()
        // One that was unloaded and one that took its name may both be there for a while.
        for (const status of library.list()) gauge.inc({ model_name: status.model, adapter: status.name }, value(status))
      }
    })
  }
  const state: Gauge = new Gauge({
    name: 'drawbridge_adapter_state',
    help: '1 for the state that the adapter is in',
    labelNames: [...labelNames, 'state'],
    registers,
    collect () {
      state.reset()
      for (const status of library.list()) {
        for (const name of states) state.inc({ model_name: status.model, adapter: status.name, state: name }, status.state === name ? 1 : 0)
      }
    }
  })
  const resident: Gauge = new Gauge({
    name: 'drawbridge_adapters_resident_bytes',
    help: 'Memory of all adapters of a model',
    labelNames: ['model_name'],
    registers,
    collect: () => { for (const { model, residentBytes } of library.registries) resident.set({ model_name: model }, residentBytes) }
  })
  for (const { name, help, value } of registryMetrics) {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: ['model_name'],
      registers,
      collect () {
        counter.reset()
        for (const item of library.registries) counter.inc({ model_name: item.model }, value(item))
      }
    })
  }
  // Routers of the llm-d family read it: the names are labels, and the value says how old they are.
  const info: Gauge = new Gauge({
    name: 'vllm:lora_requests_info',
    help: 'Adapters that requests hold and wait for, and how many fit; the value is the time of the scrape',
    labelNames: ['max_lora', 'running_lora_adapters', 'waiting_lora_adapters'],
    registers,
    collect () {
      info.reset()
      if (library.registries.length === 0) return
      const adapters = library.list()
      const namesOf = (isCounted: (status: AdapterStatus) => boolean): string => [...new Set(adapters.filter(isCounted).map((status) => library.idOf(status)))].join(',')
      info.set({
        max_lora: mostAtOnce(library, hosts()),
        running_lora_adapters: namesOf(({ inFlight }) => inFlight > 0),
        waiting_lora_adapters: namesOf(({ waiting }) => waiting > 0)
      }, Date.now() / 1000)
    }
  })

  const requests = new Counter({ name: 'drawbridge_adapter_requests_total', help: 'Requests that ran with the adapter', labelNames, registers })
  const promptTokens = new Counter({ name: 'drawbridge_adapter_prompt_tokens_total', help: 'Prompt tokens of requests with the adapter', labelNames, registers })
  const generationTokens = new Counter({ name: 'drawbridge_adapter_generation_tokens_total', help: 'Tokens drawn for requests with the adapter', labelNames, registers })
  return {
    generationFinished (generation) {
      // Those that were refused did not run.
      if (generation.promptTokens === 0) return
      for (const adapter of generation.adapters) {
        const labels = { model_name: generation.model, adapter }
        requests.inc(labels)
        promptTokens.inc(labels, generation.promptTokens)
        generationTokens.inc(labels, generation.completionTokens)
      }
    }
  }
}

/** Of adapters without a limit, as many as there are slots can run at once. */
function mostAtOnce ({ registries }: AdapterLibrary, hosts: readonly ModelHost[]): number {
  return registries.reduce((sum, { model, maxAdapters }) => {
    const info = hosts.find(({ id }) => id === model)?.info ?? null
    return sum + Math.min(maxAdapters, info === null ? 0 : info.laneCount * info.slotsPerLane)
  }, 0)
}
