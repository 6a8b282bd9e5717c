import type { AdapterFacts, AdapterLimits } from '../adapter-facts.ts'
import { checkGgufAdapter } from './check-gguf-adapter.ts'
import { openPeftFolder } from './peft-folder.ts'
import { isDirectory } from './prepare-adapter.ts'
import { adapterRefusal } from './refusal.ts'

/**
 * Says what a GGUF file or PEFT folder holds, checked in itself, without a base model.
 * @throws ServerError `invalid_adapter`
 */
export async function inspectAdapter (path: string, limits: AdapterLimits, signal: AbortSignal): Promise<AdapterFacts> {
  const refuse = adapterRefusal(path)
  if (!await isDirectory(path, refuse)) return await checkGgufAdapter(path, null, limits, refuse, signal)
  const { handle, facts } = await openPeftFolder(path, null, limits, refuse)
  await handle.close()
  return facts
}
