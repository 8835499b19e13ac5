/** The operator answers callers by hand on their page, for the tenant, and sends each form until it is acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from './environment.ts'

/** A reply that the page acknowledged. Each has a text of its own. */
export type ByHand = { tenantId: string; to: string; text: string }

const ANSWER_LIMIT_MS = 12_000
const RETRY_MS = 1000

export const newOwner = ({ env, database }: Pick<Environment, 'env' | 'database'>) => {
  const acknowledged: ByHand[] = []
  /** Answers that no retry changes. */
  const refused: string[] = []
  let stopped = false

  const authorization = `Basic ${Buffer.from(`operator:${env.OPS_PASSWORD}`).toString('base64')}`
  const open = (path: string, body?: URLSearchParams) =>
    fetch(`${env.PUBLIC_URL}/ops${path}`, {
      headers: { authorization },
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      ...(body && { method: 'POST', body }),
    })
      .then(async response => ({ status: response.status, page: await response.text() }))
      .catch(() => ({ status: 503, page: '' }))

  /** The lead, once the program has read what they wrote. */
  const leadOf = async (tenantId: string, phone: string): Promise<string | undefined> => {
    const { rows } = await database
      .query<{ id: string }>(
        `select l.id::text from leads l where tenant_id = $1 and phone = $2
         and exists (select from messages where lead_id = l.id and direction = 'in')`,
        [tenantId, phone],
      )
      .catch(() => ({ rows: [] }))
    return rows[0]?.id
  }
  /** @returns false if the page did not show the form */
  const write = async (leadId: string, reply: ByHand): Promise<boolean> => {
    const { page } = await open(`/leads/${leadId}`)
    const [form, key] = ['form', 'key'].map(
      name => new RegExp(`name="${name}" value="([^"]+)"`).exec(page)?.[1],
    )
    if (!form || !key) return false
    const fields = new URLSearchParams({ form, key, text: reply.text })
    // The same form again, so that one reply is sent although an answer was lost.
    for (; !stopped; await sleep(RETRY_MS)) {
      const { status } = await open(`/leads/${leadId}/reply`, fields)
      if (status >= 500) continue
      if (status === 303) acknowledged.push(reply)
      else refused.push(`${status} instead of 303: a reply by hand`)
      return true
    }
    return false
  }

  return {
    acknowledged,
    refused,
    /** Writes to a person who has written, this many times. */
    answer: async (tenantId: string, to: string, times: number): Promise<void> => {
      for (let n = 1; n <= times && !stopped;) {
        const leadId = await leadOf(tenantId, to)
        const reply = { tenantId, to, text: `answer ${n} to ${to.slice(-8)}` }
        if (leadId && (await write(leadId, reply))) n++
        else await sleep(RETRY_MS)
      }
    },
    stop: (): void => {
      stopped = true
    },
  }
}
