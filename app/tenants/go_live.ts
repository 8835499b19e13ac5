/** What speaks against going live. The pages ask for a confirmation; the command line warns and proceeds. */
import { sql } from 'kysely'
import { config } from '../config.ts'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import { hasChosenQuiet, type TenantSettings } from './settings.ts'

/** In the order in which they are shown, with the text of the command line. */
const WARNINGS = {
  test_not_arrived:
    'no test message arrived, or the last one did not: npm run tenant -- test-message',
  no_app_secret:
    'WHATSAPP_APP_SECRET is not set: no reply and no opt-out arrives, and no reminder is sent',
  no_webhook_from_meta:
    'no webhook from Meta was received: replies and opt-outs may not arrive (docs/whatsapp.md)',
  no_quiet_windows:
    'no quiet windows were chosen, so first messages are sent on Shabbat and at night too: choose with --quiet or --no-quiet',
}
export type GoLiveWarning = keyof typeof WARNINGS

type Facts = {
  /** The state of the last test message; null = there was none. */
  lastTest: string | null
  hasAppSecret: boolean
  hasWebhookFromMeta: boolean
  hasChosenQuiet: boolean
}

/** All warnings that apply. A pure function. */
export const goLiveWarnings = (facts: Facts): GoLiveWarning[] => {
  const applies: Record<GoLiveWarning, boolean> = {
    test_not_arrived: facts.lastTest !== 'delivered' && facts.lastTest !== 'read',
    no_app_secret: !facts.hasAppSecret,
    no_webhook_from_meta: !facts.hasWebhookFromMeta,
    no_quiet_windows: !facts.hasChosenQuiet,
  }
  return warningNames.filter(name => applies[name])
}

const isWarning = (name: string): name is GoLiveWarning => Object.hasOwn(WARNINGS, name)
const warningNames = Object.keys(WARNINGS).filter(isWarning)

export const describeWarning = (warning: GoLiveWarning): string => WARNINGS[warning]

const hasAppSecret = (): boolean => config().WHATSAPP_APP_SECRET !== undefined

/** The warnings for a business that is only being added. */
export const newTenantWarnings = (): GoLiveWarning[] =>
  goLiveWarnings({
    lastTest: null,
    hasAppSecret: hasAppSecret(),
    hasWebhookFromMeta: false,
    hasChosenQuiet: false,
  })

export type GoLiveRow = Pick<Facts, 'lastTest' | 'hasWebhookFromMeta'> &
  Pick<TenantSettings, 'quietChosenAt' | 'quietWindows'> & {
    /** Each connection has the secret of its own Meta app. */
    hasOwnSecrets: boolean
  }

/** The warnings that apply to a business now. */
export const loadGoLiveWarnings = async (trx: Trx, tenantId: string): Promise<GoLiveWarning[]> => {
  // A reply, or a report on a test message or notice, can only come by webhook. There is no index on the events of a
  // tenant, because each event would have to be entered into it.
  const { rows } = await sql<GoLiveRow>`
    select
      (select m.state from messages m where m.tenant_id = t.id and m.occasion like 'test:%'
       order by m.id desc limit 1) as "lastTest",
      exists (select from messages m where m.tenant_id = t.id and m.direction = 'in')
        or exists (select from messages m where m.tenant_id = t.id and m.occasion is not null
                     and m.state in ('sent', 'delivered', 'read')) as "hasWebhookFromMeta",
      t.quiet_chosen_at as "quietChosenAt", t.quiet_windows as "quietWindows",
      coalesce((select bool_and(c.app_secret is not null) from whatsapp_connections c where c.tenant_id = t.id), false)
        as "hasOwnSecrets"
    from tenants t where t.id = ${tenantId}`.execute(trx)
  const [facts] = rows
  if (!facts) return []
  return goLiveWarnings({
    ...facts,
    hasAppSecret: hasAppSecret() || facts.hasOwnSecrets,
    hasChosenQuiet: hasChosenQuiet(facts),
  })
}

/**
 * @param confirmed the warnings that the person saw when they decided to go live
 * @throws UserError if another one applies
 */
export const checkConfirmed = async (
  trx: Trx,
  tenantId: string,
  confirmed: readonly string[],
): Promise<void> => {
  const warnings = await loadGoLiveWarnings(trx, tenantId)
  if (warnings.some(warning => !confirmed.includes(warning)))
    throw userError('live_unconfirmed', `going live must be confirmed: ${warnings.join(', ')}`)
}
