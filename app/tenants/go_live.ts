/** What speaks against going live. The pages ask for a confirmation; the command line warns and proceeds. */
import { config } from '../config.ts'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import type { Step, StepName } from './checklist.ts'
import { loadChecklist } from './checklist_facts.ts'
import { showTenant } from './tenants.ts'

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

const isWarning = (name: string): name is GoLiveWarning => Object.hasOwn(WARNINGS, name)
const warningNames = Object.keys(WARNINGS).filter(isWarning)

export const describeWarning = (warning: GoLiveWarning): string => WARNINGS[warning]

/** All warnings that follow from the checklist. A pure function. */
export const goLiveWarnings = (steps: readonly Step[]): GoLiveWarning[] => {
  const step = (name: StepName) => steps.find(one => one.name === name)
  const isMissing = (name: StepName) => step(name)?.state !== 'done'
  const { evidence = [], missing = [] } = step('events') ?? {}
  const applies: Record<GoLiveWarning, boolean> = {
    test_not_arrived: isMissing('test'),
    no_app_secret: missing.some(({ code }) => code === 'app_secret_missing'),
    // A report that the test message arrived came by webhook too.
    no_webhook_from_meta:
      isMissing('test') && !evidence.some(({ code }) => code === 'signed_event'),
    no_quiet_windows: isMissing('quiet'),
  }
  return warningNames.filter(name => applies[name])
}

/** The warnings for a tenant that is only being added. */
export const newTenantWarnings = (): GoLiveWarning[] =>
  warningNames.filter(
    name => name !== 'no_app_secret' || config().WHATSAPP_APP_SECRET === undefined,
  )

/** The warnings that apply to a tenant now. */
export const loadGoLiveWarnings = async (trx: Trx, tenantId: string): Promise<GoLiveWarning[]> =>
  goLiveWarnings(await loadChecklist(trx, await showTenant(trx, tenantId)))

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
