/** What is missing before a business can go live. Pure. */
import type { TenantShown } from '../../../tenants/tenants.ts'
import type { SectionName } from './section.ts'

/** `waiting`: nothing to do but wait; `paused`: somebody has stopped it. */
export type Step = 'webhook' | 'numbers' | 'whatsapp' | 'templates' | 'owner' | 'test' | 'live'
export type Stand = 'done' | 'open' | 'wrong' | 'waiting' | 'paused'
export type Item = { step: Step; stand: Stand; where: SectionName }

export type Facts = {
  shown: TenantShown
  /** The state of the last test message; null = there was none. */
  test: string | null
  /** How many numbers calls come for that nobody has entered. */
  unknownNumbers: number
}

const TEST: Record<string, Stand> = {
  delivered: 'done',
  read: 'done',
  scheduled: 'waiting',
  sending: 'waiting',
  accepted: 'waiting',
  sent: 'waiting',
}

const LIVE: Record<string, Stand> = { live: 'done', paused: 'paused' }

const or = (fine: boolean, otherwise: Stand): Stand => (fine ? 'done' : otherwise)

/** The way to going live, in the order in which it is gone. */
export const checklist = ({ shown, test, unknownNumbers }: Facts): Item[] => {
  const { connections, templates } = shown
  const connected = connections.length > 0
  const whatsapp = connections.every(({ state }) => state === 'active') ? 'done' : 'wrong'
  const allActive = templates.every(({ state }) => state === 'active')
  return [
    { step: 'webhook', stand: or(shown.lastWebhookAt !== null, 'open'), where: 'webhook' },
    { step: 'numbers', stand: or(unknownNumbers === 0, 'wrong'), where: 'numbers' },
    { step: 'whatsapp', stand: connected ? whatsapp : 'open', where: 'whatsapp' },
    { step: 'templates', stand: connected ? or(allActive, 'wrong') : 'open', where: 'templates' },
    { step: 'owner', stand: or(shown.ownerPhone !== null, 'open'), where: 'settings' },
    { step: 'test', stand: test === null ? 'open' : (TEST[test] ?? 'wrong'), where: 'overview' },
    { step: 'live', stand: LIVE[shown.mode] ?? 'open', where: 'overview' },
  ]
}
