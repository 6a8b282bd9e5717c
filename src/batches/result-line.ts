import type { WrittenLine } from './batch-line.ts'

/** A line of an output or error file. The answer's body goes there as it was. */
export function toResultLine (batchId: string, { line, customId, result }: WrittenLine): string {
  const id = JSON.stringify(lineIdOf(batchId, line))
  const head = `{"id":${id},"custom_id":${customId}`
  if (result === null) {
    return `${head},"response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}\n`
  }
  const { statusCode, requestId, response } = result
  return `${head},"response":{"status_code":${statusCode},"request_id":${JSON.stringify(requestId)},"body":${response}},"error":null}\n`
}

/** Names a line in the files, and in the log. */
export const lineIdOf = (batchId: string, line: number): string => `batch_req_${batchId.replace(/^batch_/, '')}_${line}`
