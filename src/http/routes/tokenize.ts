import type { FastifyRequest } from 'fastify'
import type { Caller } from '../../access/caller.ts'
import { ServerError } from '../../domain/errors.ts'
import { type Token, asToken } from '../../domain/ids.ts'
import type { Inference, Prompt } from '../../inference/inference.ts'
import { allowedHosts } from '../allowed-models.ts'
import { needs } from '../needs.ts'
import { type OpenModel, openModel } from '../open-model.ts'
import { chatModelOf } from '../chat-model.ts'
import { withSystemPrompt } from '../with-system-prompt.ts'
import { refuseUnsupportedMessages } from '../schemas/chat-completion-request.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { tokenizeContentSchema, tokenizeMessagesSchema, tokenizePromptSchema } from '../schemas/tokenize-request.ts'
import type { HttpServices, Route } from '../services.ts'

/**
 * `POST /v1/tokenize` and `/tokenize`: llama-server's form (`content`) answers with `tokens` alone, vLLM's (`prompt` or
 * `messages`) with their count and the context size as well.
 */
export const tokenizeRoute: Route = (app, services) => {
  const handler = async ({ body, requestContext: { caller, cancellation: { signal } } }: FastifyRequest) => {
    const has = (member: string): boolean => typeof body === 'object' && body !== null && Object.hasOwn(body, member)
    if (has('content')) return await tokenizeContent(body, caller, services)
    if (has('messages')) return await tokenizeMessages(body, { caller, signal }, services)
    if (has('prompt')) return await tokenizePrompt(body, caller, services)
    throw new ServerError('missing_required_parameter', 'Missing required parameter: \'prompt\', \'messages\' or \'content\'', { param: 'prompt' })
  }
  app.post('/v1/tokenize', needs('inference'), handler)
  app.post('/tokenize', needs('inference'), handler)
}

/**
 * These endpoints are asked without a model by clients of servers that have only one.
 * @throws ServerError `missing_required_parameter` when there are several
 */
export function openNamedOrOnlyModel (services: HttpServices, caller: Caller, name: string | undefined): OpenModel {
  if (name !== undefined) return openModel(services, caller, name)
  const [only, second] = allowedHosts(caller, services.catalogue)
  if (only === undefined || second !== undefined) {
    throw new ServerError('missing_required_parameter', `Missing required parameter: 'model'; ${only === undefined ? 'your key is for none of this server\'s models' : 'this server has several models'}`, { param: 'model' })
  }
  return openModel(services, caller, only.id)
}

async function tokenizeContent (raw: unknown, caller: Caller, services: HttpServices) {
  const body = parseRequest(tokenizeContentSchema, raw)
  const { inference } = openNamedOrOnlyModel(services, caller, body.model).host
  const prompt: Prompt = { segments: [{ text: body.content, origin: body.parse_special ? 'template' : 'user' }] }
  const tokens = await inference.tokenize(prompt, { addBos: body.add_special })
  if (!body.with_pieces) return { tokens }
  const pieces = await piecesOf(inference, tokens)
  return { tokens: tokens.map((id, index) => ({ id, piece: pieces[index] ?? '' })) }
}

async function tokenizePrompt (raw: unknown, caller: Caller, services: HttpServices) {
  const body = parseRequest(tokenizePromptSchema, raw)
  const model = openNamedOrOnlyModel(services, caller, body.model)
  const prompt: Prompt = { segments: [{ text: body.prompt, origin: 'template' }] }
  return await countTokens(model, prompt, { addBos: body.add_special_tokens, withTexts: body.return_token_strs })
}

async function tokenizeMessages (raw: unknown, { caller, signal }: { readonly caller: Caller, readonly signal: AbortSignal }, services: HttpServices) {
  refuseUnsupportedMessages((raw as { messages: unknown }).messages)
  const body = parseRequest(tokenizeMessagesSchema, raw)
  if (body.continue_final_message && body.add_generation_prompt === true) {
    throw new ServerError('invalid_value', 'Invalid value for \'add_generation_prompt\': no new turn begins where \'continue_final_message\' is true', { param: 'add_generation_prompt' })
  }
  const model = openNamedOrOnlyModel(services, caller, body.model)
  const segments = await services.preparation.render({
    messages: withSystemPrompt(body.messages, model.systemPrompt),
    tools: body.tools,
    options: { addGenerationPrompt: body.add_generation_prompt ?? true, continuesLastMessage: body.continue_final_message, variables: body.chat_template_kwargs }
  }, chatModelOf(model, services), { tenant: caller.tenant, signal })
  // As the chat endpoint would read them: with BOS, unless the template wrote it.
  return await countTokens(model, { segments }, { addBos: true, withTexts: body.return_token_strs })
}

async function countTokens ({ host, info }: OpenModel, prompt: Prompt, options: { addBos: boolean, withTexts: boolean }) {
  const tokens = await host.inference.tokenize(prompt, { addBos: options.addBos })
  return {
    count: tokens.length,
    max_model_len: info.contextSize,
    tokens,
    token_strs: options.withTexts ? await piecesOf(host.inference, tokens) : null
  }
}

/** Each is an object of the answer, which is written in one go. */
const mostPieces = 65_536

/**
 * The text of each token by itself; U+FFFD where a token holds part of a character.
 * @throws ServerError `invalid_value` for more than can be written at once
 */
async function piecesOf (inference: Inference, tokens: readonly Token[]): Promise<string[]> {
  if (tokens.length > mostPieces) {
    throw new ServerError('invalid_value', `The text has ${tokens.length} tokens, and the texts of at most ${mostPieces} are told at once; send it in several parts`)
  }
  const distinct = [...new Set(tokens)]
  const texts = await Promise.all(distinct.map(async (token) => await inference.detokenize([asToken(token)])))
  const textByToken = new Map(distinct.map((token, index) => [token, texts[index] ?? '']))
  return tokens.map((token) => textByToken.get(token) ?? '')
}
