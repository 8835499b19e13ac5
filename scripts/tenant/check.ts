/** npm run tenant -- check */
import { config } from '../../app/config.ts'
import {
  isSetUp,
  type Evidence,
  type Problem,
  type ProblemCode,
} from '../../app/tenants/checklist.ts'
import { loadChecklist } from '../../app/tenants/checklist_facts.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import { showTenant } from '../../app/tenants/tenants.ts'
import { errorAdvice } from '../../app/web/ops/locales/whatsapp_errors.ts'
import {
  BOOLEAN,
  check as parse,
  type Command,
  inTransaction,
  readFlags,
  STRING,
} from './terminal.ts'

const HELP = `Usage: npm run tenant -- check --tenant ID [--json]

Shows the set-up of a business: each step with its evidence and the time of it, and what is missing with what to do. It
reads what is stored, and asks neither Meta nor Voicenter. The exit code is 1 while something is missing.

  calls       a first call came by webhook
  numbers     a call came to every number, or a person confirmed it; no call came to an unknown number
  whatsapp    Meta confirmed the access token, the number and its account
  events      Meta verified the callback URL, and an event with a right signature came for every number
  templates   every template in use is approved
  test        the last test message was delivered
  quiet       quiet windows were chosen; none (--no-quiet) is a choice

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, done, steps (name, state, evidence, missing). evidence:
                 code, about, at; missing: code, about, what (what to do). The codes do not change.
  --help         show this text`

export const check: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, HELP, { tenant: STRING, json: BOOLEAN })
  const { tenantId } = parse(tenantOnly, { tenantId: flags.tenant ?? '' })
  const steps = await inTransaction(terminal, async trx =>
    loadChecklist(trx, await showTenant(trx, tenantId)),
  )
  const isDone = isSetUp(steps)
  const what = (problem: Problem) => whatToDo(problem, tenantId)
  if (flags.json) {
    const shown = steps.map(step => ({
      ...step,
      missing: step.missing.map(problem => ({ ...problem, what: what(problem) })),
    }))
    console.log(JSON.stringify({ tenantId, done: isDone, steps: shown }))
  } else
    for (const { name, state, evidence, missing } of steps) {
      console.log(`${name.padEnd(10)} ${state === 'done' ? 'done' : `NOT DONE (${state})`}`)
      for (const one of evidence) console.log(`  + ${describe(one)}`)
      for (const one of missing) console.log(`  - ${one.code}${ofWhat(one)}: ${what(one)}`)
    }
  return isDone ? 0 : 1
}

const ofWhat = ({ about }: Pick<Problem, 'about'>): string => (about === null ? '' : ` ${about}`)

const describe = (evidence: Evidence): string =>
  `${evidence.code}${ofWhat(evidence)}${evidence.at ? `, ${evidence.at.toISOString()}` : ''}`

/** What an error of Meta means, and what to do. */
export const explain = (reason: string): string => {
  const { why, whatNow } = errorAdvice('en', reason)
  return `${why} ${whatNow}`.trim()
}

const whatToDo = (problem: Problem, tenantId: string): string => {
  const { reason } = problem
  const of = `--tenant ${tenantId}`
  const means = reason ? explain(reason) : 'it was not sent'
  const callback = `${config().PUBLIC_URL}/webhooks/whatsapp`
  const texts: Record<ProblemCode, string> = {
    no_calls: `enter the webhook URL in Voicenter's CPanel (Integrations, CDR Notification) and call the business; a new URL: token add ${of}`,
    no_number: `add the number that customers dial: number add ${of} --number`,
    unknown_number: `customers called it (${problem.calls}) and it belongs to no business: number add ${of} --number ${problem.about}, or correct the number`,
    number_unseen: `no call came to it yet: call it, or confirm it with number confirm ${of} --number ${problem.about}`,
    not_connected: `no WhatsApp number is connected: connect ${of}`,
    connection_unconfirmed: `Meta could not be asked about the number yet: connect ${of} again, or wait for the nightly check`,
    token_wrong: `Meta does not accept the access token: create a new one for a system user, then connect ${of}`,
    number_id_wrong: `Meta knows no number with the id ${reason}, or the token may not use it: connect ${of} with the id from API Setup`,
    account_wrong: `the account ${reason} does not have this number, or the token may not see it: connect ${of} --waba-id, with a token that has whatsapp_business_management`,
    account_unknown: `Meta does not tell the account of the number: connect ${of} --waba-id, or with a token that has whatsapp_business_management`,
    connection_paused: `the number is paused. ${means} Then: connection resume ${of}`,
    app_secret_missing:
      'set WHATSAPP_APP_SECRET to the app secret of the Meta app (App settings, Basic): without it no reply and no opt-out arrives',
    app_secret_wrong:
      'Meta signs events with another app secret: correct WHATSAPP_APP_SECRET, or connect --app-secret-env if the number has a Meta app of its own',
    verify_token_missing:
      'set WHATSAPP_VERIFY_TOKEN to a text of your choice, and enter it at Meta',
    verify_token_wrong: `Meta asked with another verify token: enter WHATSAPP_VERIFY_TOKEN and ${callback} under WhatsApp, Configuration`,
    not_verified: `enter ${callback} and WHATSAPP_VERIFY_TOKEN in Meta's App Dashboard under WhatsApp, Configuration, and press Verify and save`,
    no_events:
      'Meta sends no events: subscribe to messages, message_template_status_update and template_category_update under WhatsApp, Configuration, and the app to the account (docs/whatsapp.md); then write to the number',
    template_unknown: `Meta was not asked about it yet: template submit ${of}`,
    template_missing: `Meta has no such template: template submit ${of}`,
    template_pending: 'Meta reviews it, usually within minutes',
    template_refused: `Meta did not take it (${reason}): change the text or the name, then template submit ${of}`,
    template_rejected: `Meta rejected it (${reason ?? 'no reason given'}): template resubmit ${of} --kind ${problem.kind} --body`,
    template_paused: `it is paused. ${means} (docs/templates.md)`,
    template_marketing: `Meta counts it as marketing: change it at Meta, or agree with template resume ${of} --kind ${problem.kind}`,
    template_differs: `Meta has it otherwise than it was set here: look at it, then template resume ${of} --kind ${problem.kind}`,
    no_owner_phone: `set ${of} --owner-phone, then test-message ${of}`,
    no_test: `test-message ${of}`,
    test_pending: "the test message is on its way: look at the owner's phone",
    test_failed: `the test message failed: ${means} Then: test-message ${of}`,
    test_unanswered: `WhatsApp did not answer, so it may or may not have been sent: test-message ${of}`,
    no_quiet_windows: `set ${of} --quiet shabbat --quiet holidays --quiet 21:00-08:00, or --no-quiet`,
  }
  return texts[problem.code]
}
