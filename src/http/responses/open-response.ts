import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import { checkChatRequest } from '../chat-request.ts'
import { type OpenChat, openChat } from '../open-chat.ts'
import type { RequestContext } from '../request-context.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'
import type { ChatCompletionRequest } from '../schemas/chat-completion-request.ts'
import type { HttpServices } from '../services.ts'
import { checkLength } from './check-length.ts'
import { contextOf } from './context-of.ts'
import { createResponseBody, type ResponseBody } from './response-body.ts'
import type { ResponseEvent } from './response-events.ts'
import type { ResponseItem } from './response-item.ts'
import type { ResponseStore } from './response-store.ts'
import { ResponseWriter } from './response-writer.ts'
import { resolveInput, withOwnIds } from './resolve-input.ts'
import { toChatCompletion } from './to-chat-completion.ts'
import { toMessages } from './to-messages.ts'
import { toResponsesError } from './to-responses-error.ts'

/** A request with all that it goes on from. */
export interface ResponseTurn {
  readonly chat: ChatCompletionRequest
  /** The items of the request itself. */
  readonly input: readonly ResponseItem[]
}

/**
 * Finds what a request goes on from, and puts it in the chat endpoint's terms.
 * @throws ServerError for whatever is wrong with it
 */
export function readTurn (
  request: ResponseRequest, tenant: TenantId, { config, responseStore: store }: Pick<HttpServices, 'config' | 'responseStore'>
): ResponseTurn {
  const before = contextOf(request, tenant, store)
  const input = resolveInput(request.input ?? [], before, 'input', tenant, store)
  if (before.length + input.length === 0) {
    throw new ServerError('missing_required_parameter', 'Missing required parameter: \'input\'', { param: 'input' })
  }
  const items = [...before, ...input]
  checkLength(items, config.bodyLimit, 'input')
  const chat = toChatCompletion(request, toMessages(items, request.instructions ?? ''))
  try {
    checkChatRequest(chat)
  } catch (error) {
    throw toResponsesError(error)
  }
  return { chat, input }
}

export interface OpenResponse extends Pick<OpenChat, 'generation' | 'release'> {
  readonly body: ResponseBody
  readonly input: readonly ResponseItem[]
  /** Makes the one writer of its generation. */
  readonly createWriter: (hooks: {
    readonly emit: (event: ResponseEvent) => void
    readonly onAccepted?: () => void
    readonly onEnd?: () => void
  }) => ResponseWriter
}

/**
 * Makes a request ready to run.
 * @throws ServerError for whatever of it cannot be done
 */
export async function openResponse (request: ResponseRequest, context: RequestContext, services: HttpServices): Promise<OpenResponse> {
  const { responseStore } = services
  const isStored = isStoredFor(request, responseStore)
  const { chat, input } = readTurn(request, context.caller.tenant, services)
  const { identity, format, generation, release } = await inResponsesTerms(openChat(chat, 'resp', context, services))
  const body = createResponseBody(request, identity, isStored)
  return {
    body,
    input,
    generation,
    release,
    createWriter: ({ emit, onAccepted = () => {}, onEnd = () => {} }) => new ResponseWriter({
      body,
      format,
      tellsSummary: body.reasoning?.summary != null,
      tellsPortableReasoning: request.include.includes('reasoning.encrypted_content'),
      emit,
      onAccepted,
      onEnd
    })
  }
}

/** Translates what the chat request is rejected with. */
export async function inResponsesTerms<Value> (promise: Promise<Value>): Promise<Value> {
  try {
    return await promise
  } catch (error) {
    throw toResponsesError(error)
  }
}

/** A server that keeps nothing refuses only those who have asked for it. */
function isStoredFor ({ store: wanted, background }: ResponseRequest, store: ResponseStore): boolean {
  if (!store.isOn && (wanted === true || background)) {
    throw new ServerError('unsupported_parameter', `Unsupported parameter or value: '${background ? 'background' : 'store'}'. This server keeps no responses (--response-store off).`, { param: background ? 'background' : 'store' })
  }
  return store.isOn && wanted !== false
}

/** Keeps a response that has ended, and puts its items into its conversation. */
export function keepResponse (
  { body, input }: Pick<OpenResponse, 'body' | 'input'>, events: readonly string[] | null, tenant: TenantId, store: ResponseStore
): void {
  if (body.store) store.saveResponse(tenant, { body, input, events })
  if (body.conversation == null || (body.status !== 'completed' && body.status !== 'incomplete')) return
  const conversation = store.findConversation(tenant, body.conversation.id)
  if (conversation === null) return
  const items = [...conversation.items, ...withOwnIds([...input, ...body.output], conversation.items)]
  // One that has become too large is gone rather than without this turn.
  if (!store.saveConversation(tenant, { ...conversation, items })) store.deleteConversation(tenant, conversation.id)
}
