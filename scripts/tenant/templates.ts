/** npm run tenant -- template, test-message */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  requireAccounts,
  askAccounts,
  storeTemplates,
  type Synced,
  type SyncProblem,
} from '../../app/tenants/template_sync.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import {
  planResubmit,
  planSubmit,
  storeSubmitted,
  submitPlan,
  type SubmitPlan,
  type Submitted,
} from '../../app/tenants/template_submit.ts'
import {
  templateChange,
  templateResubmit,
  templateResume,
} from '../../app/tenants/template_change.ts'
import { changeTemplate, resumeTemplates, type TemplateInUse } from '../../app/tenants/templates.ts'
import { showTenant } from '../../app/tenants/tenants.ts'
import { sendTestMessage, testMessageState } from '../../app/tenants/test_message.ts'
import { explain } from './check.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  fieldsOf,
  inTransaction,
  readAction,
  readFlags,
  STRING,
  type Terminal,
} from './terminal.ts'

const TEMPLATE_HELP = `Usage: npm run tenant -- template --tenant ID [--kind KIND [options]]
       npm run tenant -- template submit --tenant ID
       npm run tenant -- template resubmit --tenant ID --kind KIND [--body TEXT]
       npm run tenant -- template sync --tenant ID
       npm run tenant -- template resume --tenant ID [--kind KIND]

Shows which WhatsApp templates a business uses, or sets the template of one kind of message for all its numbers
(docs/templates.md). Meta must approve each one.

submit creates the templates at Meta that it does not have yet, in the languages of the business (set --languages). Twice
creates nothing twice. resubmit gives a template another text, for example after Meta rejected it; without --body it is the
text of Ringback. Both end with 1 if Meta did not take a template, and say why.

resume uses a paused template again, and agrees that a template is sent which Meta counts as marketing, or that Meta has
otherwise than it was set here. Held messages are sent within a minute, unless they are too late. Without --kind it is done
for every kind of message.

sync asks Meta about the templates, ten seconds at most, and stores their texts, buttons, categories and states. Messages
follow what Meta has. The worker does the same every day. The exit code is 1 if Meta did not answer for every number.

  --tenant ID        the business
  --kind KIND        initial, reminder_1, reminder_2 or owner_notice
  --name NAME        the name of the template, as approved
  --language CODE    its language, exactly as approved (he, en, en_US); default he
  --variables LIST   the values of {{1}}, {{2}} and so on, separated by commas:
                     business_name, caller_name, call_time, caller_phone, what_happened
  --body TEXT        a text of your own, to be submitted; it needs a name of its own
  --buttons LIST     quick replies, separated by commas: callback, stop; none = no buttons. Without --name or --body,
                     Ringback's text with these buttons is used
  --number NUMBER    the template is for calls to this number of the business only
  --hours HOURS      the template is for open or closed hours only (set --opening-hours), when the message is sent. The
                     most specific approved template is used: number and hours, then number, then hours
  --resume           use the template again after Meta paused it
  --default          use Ringback's default template again; with --number or --hours: remove the template
  --json             the last line of stdout is one JSON object: templates; resume: tenantId, resumed (kinds), templates;
                     sync: tenantId, templates (what Meta told), problems (the numbers that it told nothing about);
                     submit, resubmit: the same and submitted (name, language, result, status, code, message)
  --help             show this text`

export const template: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['set', 'resume', 'sync', 'submit', 'resubmit'])
  const flags = readFlags(rest, TEMPLATE_HELP, {
    tenant: STRING,
    kind: STRING,
    name: STRING,
    language: STRING,
    variables: STRING,
    body: STRING,
    buttons: STRING,
    number: STRING,
    hours: STRING,
    resume: BOOLEAN,
    default: BOOLEAN,
    json: BOOLEAN,
  })
  if (action === 'resume') {
    const { tenant: tenantId = '', kind, json, ...others } = flags
    if (Object.keys(others).length > 0) fail('template resume: only --tenant, --kind and --json')
    const wanted = check(templateResume, { tenantId, kind })
    const { resumed, templates } = await inTransaction(terminal, async trx => ({
      ...(await resumeTemplates(trx, COMMAND_LINE, wanted)),
      templates: (await showTenant(trx, wanted.tenantId)).templates,
    }))
    console.error(resumed.length ? `resumed: ${resumed.join(', ')}` : 'nothing was paused or held')
    if (json) console.log(JSON.stringify({ tenantId, resumed, templates }))
    return
  }
  if (action === 'resubmit') {
    const { tenant: tenantId = '', json, kind, number, hours, body, ...others } = flags
    if (Object.keys(others).length > 0)
      fail('template resubmit: only --tenant, --kind, --number, --hours, --body and --json')
    const wanted = check(templateResubmit, { tenantId, kind, number, hours, body })
    const plan = await inTransaction(terminal, trx => planResubmit(trx, COMMAND_LINE, wanted))
    return submit(terminal, tenantId, plan, json)
  }
  if (action === 'sync' || action === 'submit') {
    const { tenant: id = '', json, ...others } = flags
    if (Object.keys(others).length > 0) fail(`template ${action}: only --tenant and --json`)
    const { tenantId } = check(tenantOnly, { tenantId: id })
    if (action === 'submit') {
      const plan = await inTransaction(terminal, trx => planSubmit(trx, tenantId))
      return submit(terminal, tenantId, plan, json)
    }
    const accounts = await inTransaction(terminal, trx => requireAccounts(trx, tenantId))
    const asked = await askAccounts(accounts)
    const synced = await inTransaction(terminal, trx =>
      storeTemplates(trx, COMMAND_LINE, tenantId, asked),
    )
    showSynced(terminal, synced)
    if (json) terminal.console.log(JSON.stringify({ tenantId, ...synced }))
    return synced.problems.length > 0 ? 1 : 0
  }
  const wanted = check(templateChange, {
    ...fieldsOf(flags),
    tenantId: flags.tenant ?? '',
    variables: flags.variables?.split(',').map(name => name.trim()),
    buttons: flags.buttons === 'none' ? [] : flags.buttons?.split(',').map(name => name.trim()),
    backToDefault: flags.default,
  })
  const { templates } = await inTransaction(terminal, async trx => {
    if (wanted.kind) await changeTemplate(trx, COMMAND_LINE, { ...wanted, kind: wanted.kind })
    return showTenant(trx, wanted.tenantId)
  })
  if (flags.json) console.log(JSON.stringify({ templates }))
  else console.table(templateTable(templates))
}

/** For a person to read: without texts and ids. */
export const templateTable = (templates: readonly TemplateInUse[]) =>
  templates.map(({ phoneNumberId, kind, number, hours, name, language, state, reason }) => ({
    phoneNumberId,
    kind,
    number: number ?? '',
    hours: hours ?? '',
    name,
    language,
    state,
    reason,
  }))

const submit = async (
  terminal: Terminal,
  tenantId: string,
  plan: SubmitPlan[],
  json = false,
): Promise<number> => {
  const answers = await submitPlan(plan)
  const result = await inTransaction(terminal, trx =>
    storeSubmitted(trx, COMMAND_LINE, tenantId, answers),
  )
  const { console } = terminal
  for (const { name, language, code, message, ...one } of result.submitted)
    console.error(
      `${name} (${language}): ${RESULTS[one.result]}${code === null ? '' : ` (${code}: ${message})`}`,
    )
  showSynced(terminal, result)
  if (json) console.log(JSON.stringify({ tenantId, ...result }))
  const isDone = result.submitted.every(one => ['submitted', 'exists'].includes(one.result))
  return isDone && result.problems.length === 0 ? 0 : 1
}

const RESULTS: Record<Submitted['result'], string> = {
  submitted: 'submitted; Meta reviews it',
  exists: 'Meta has it already',
  refused: 'Meta did not take it',
  unanswered: 'Meta did not answer: try again, nothing is created twice',
}

const PROBLEMS: Record<SyncProblem['why'], string> = {
  token_refused:
    'Meta does not accept the access token: create a new one, and npm run tenant -- connect',
  account_refused:
    'the access token may not read the templates: it needs whatsapp_business_management',
  account_unknown: "Meta does not tell the number's account: npm run tenant -- connect --waba-id",
  unanswered: 'Meta did not answer: try again',
}

const showSynced = ({ console }: Terminal, { templates, problems }: Synced): void => {
  for (const { phoneNumberId, why, code } of problems)
    console.error(`${phoneNumberId}: ${PROBLEMS[why]}${code === null ? '' : ` (${code})`}`)
  for (const { kind, name, language, status, state, category, differs } of templates)
    console.error(
      `${kind}: ${name} (${language}) ${status}, ${category ?? 'no category'}, ${state}${differs.length > 0 ? `; Meta has otherwise: ${differs.join(', ')}` : ''}`,
    )
}

const TEST_MESSAGE_HELP = `Usage: npm run tenant -- test-message --tenant ID [--wait SECONDS]

Sends the first message that customers get to the owner's own phone, through the business's own WhatsApp number. When it
arrives, the number, the access token and the template are right. It also works in shadow and while the business is
paused, so you can test before going live. It is tried once, at most once a minute, and an error pauses nothing.

  --tenant ID       the business
  --wait SECONDS    how long to wait for the result, 0 to 60; default 20
  --json            the last line of stdout is one JSON object: tenantId, messageId, state, reason, code (WhatsApp's),
                    phoneNumberId (the number that sent it)
  --help            show this text

The exit code is 0 if WhatsApp accepted the message or it is still queued, otherwise 1.`

const SECONDS = 'a whole number of seconds from 0 to 60'
const seconds = z.coerce.number(SECONDS).int(SECONDS).min(0, SECONDS).max(60, SECONDS).default(20)

const PENDING = ['scheduled', 'sending']
const ACCEPTED = ['accepted', 'sent', 'delivered', 'read']
const POLL_MS = 250

export const testMessage: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, TEST_MESSAGE_HELP, { tenant: STRING, wait: STRING, json: BOOLEAN })
  const wanted = check(tenantOnly.extend({ seconds }), {
    tenantId: flags.tenant ?? '',
    seconds: flags.wait,
  })
  const { tenantId } = wanted
  const { messageId } = await inTransaction(terminal, trx =>
    sendTestMessage(trx, COMMAND_LINE, tenantId),
  )
  const readState = () =>
    inTransaction(terminal, trx => testMessageState(trx, { tenantId, messageId }))
  const until = performance.now() + wanted.seconds * 1000
  let message = await readState()
  while (PENDING.includes(message.state) && performance.now() < until) {
    await sleep(POLL_MS)
    message = await readState()
  }
  console.error(`test message ${messageId}: ${describe(message)}`)
  if (flags.json) console.log(JSON.stringify({ tenantId, ...message }))
  return [...PENDING, ...ACCEPTED].includes(message.state) ? 0 : 1
}

const describe = ({
  state,
  reason,
  code,
}: {
  state: string
  reason: string | null
  code: number | null
}): string => {
  if (ACCEPTED.includes(state)) return `${state}; look at the owner's phone`
  if (state === 'scheduled') return 'still queued; is a worker running?'
  if (state === 'sending') return 'being sent'
  if (state === 'unknown') return `unknown (${reason}): it may have arrived, and is not sent again`
  if (code === null) return `${state} (${reason})`
  return `${state} (${reason}, WhatsApp error ${code}). ${explain(`WhatsApp error ${code}`)}`
}
