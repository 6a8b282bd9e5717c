import { isKeyId, prefixOf } from '../access/keys/secret-key.ts'
import { ServerError } from '../domain/errors.ts'
import type { LineSink } from '../telemetry/line-file.ts'
import type { ActionName, ActionSubject } from '../telemetry/observer.ts'
import type { KeysDoor } from './keys-door.ts'

/** Not what has another form than an id: it may be a key that somebody took for one. */
const subjectOf = (id: string): ActionSubject => isKeyId(id) ? { keyId: id, prefix: prefixOf(id) } : {}

/**
 * A door to the database whose changes are in the audit log, as a server would have them there. There is no request and no tenant; who it was is the
 * user of the system.
 */
export function auditedDoor (door: KeysDoor, sink: LineSink, user: string): KeysDoor {
  const note = (event: ActionName, outcome: 'done' | 'failed', subject: ActionSubject, errorCode: string | null): void => {
    sink.append({ time: new Date().toISOString(), event, outcome, ...subject, command: 'keys', user, errorCode })
  }
  async function noted<Answer> (name: ActionName, before: ActionSubject, after: (answer: Answer) => ActionSubject, work: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await work
      note(name, 'done', { ...before, ...after(answer) }, null)
      return answer
    } catch (error) {
      note(name, 'failed', before, ServerError.from(error).code)
      throw error
    }
  }
  return {
    ...door,
    create: async (wish) => await noted('key.create', {}, ({ id, owner, scopes }) => ({ owner, scopes: scopes.join(' '), ...subjectOf(id) }), door.create(wish)),
    update: async (id, change) => await noted('key.update', { ...subjectOf(id), members: Object.keys(change).join(' ') }, () => ({}), door.update(id, change)),
    // Without a change it only shows.
    limitOwner: async (owner, change) => Object.keys(change).length === 0 ? await door.limitOwner(owner, change) : await noted('owner.limit', { owner }, () => ({}), door.limitOwner(owner, change)),
    rotate: async (id, overlapSeconds) => await noted('key.rotate', subjectOf(id), (key) => ({ replacedBy: key.id }), door.rotate(id, overlapSeconds)),
    revoke: async (id) => await noted('key.revoke', subjectOf(id), () => ({}), door.revoke(id))
  }
}
