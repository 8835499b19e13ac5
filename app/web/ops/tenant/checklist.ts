/** The checklist on the page of a tenant: each step with its evidence, or with what to do. */
import { config, isLoopback } from '../../../config.ts'
import type { Evidence, Problem, Step } from '../../../tenants/checklist.ts'
import { copyable } from '../copy.ts'
import { dayTime, formatWindow, telephoneText } from '../format.ts'
import { actionForm } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { checklistTexts } from '../locales/checklist.ts'
import { templateRejection, templateTexts } from '../locales/templates.ts'
import { errorAdvice } from '../locales/whatsapp_errors.ts'
import { quietForm } from './mode.ts'
import { type SectionName, sectionName, tenantPath, type View } from './section.ts'

const MARKS: Record<Step['state'], { mark: string; badge: string }> = {
  done: { mark: '✓', badge: 'good' },
  waiting: { mark: '…', badge: 'warn' },
  open: { mark: '○', badge: '' },
  wrong: { mark: '!', badge: 'bad' },
}

const SECTIONS = {
  calls: 'webhook',
  numbers: 'numbers',
  whatsapp: 'whatsapp',
  events: 'whatsapp',
  templates: 'templates',
  test: 'settings',
  quiet: 'settings',
} as const satisfies Record<Step['name'], SectionName>

/** The numbers, and the templates, of a step are listed up to this many; the others are folded. */
const SHOWN = 4

/** @param testForm the button of the step `test`, and the result of the last test message */
export const checklistCard = (view: View, steps: readonly Step[], testForm: Html): Html => {
  const { context, tenant, failed } = view
  const texts = checklistTexts[context.language]
  const done = steps.filter(({ state }) => state === 'done').length
  const list = html`<ol class="checklist">
    ${steps.map(step => stepItem(view, step, step.name === 'test' ? testForm : null))}
  </ol>`
  // A tenant that is live needs the list only if something broke.
  const isFolded = done === steps.length && tenant.mode !== 'shadow' && failed?.action !== 'test'
  return html`<section class="card" id="setup">
    <h2>${texts.title}</h2>
    <p>${done === steps.length ? texts.ready : texts.progress(done, steps.length)}</p>
    ${
      isFolded
        ? html`<details id="setup-done">
            <summary>${texts.evidence}</summary>
            ${list}
          </details>`
        : list
    }
  </section>`
}

const stepItem = (
  view: View,
  { name, state, evidence, missing }: Step,
  form: Html | null,
): Html => {
  const { context, tenant } = view
  const texts = checklistTexts[context.language]
  const { mark, badge } = MARKS[state]
  return html`<li id="step-${name}" class="${state}">
    <div class="row spread">
      <a href="${tenantPath(tenant.tenantId, SECTIONS[name])}">${texts.steps[name]}</a>
      <span class="badge ${badge}"><b aria-hidden="true">${mark}</b> ${texts.states[state]}</span>
    </div>
    ${folded(
      `more-${name}`,
      evidence.map(one => html`<li>${proof(view, one)}</li>`),
      texts.evidence,
    )}
    ${missing.map(
      problem => html`<div class="todo">${todo(view, problem, name !== 'whatsapp')}</div>`,
    )}
    ${stepAction(view, name, missing)} ${form}
  </li>`
}

/** A list whose end is folded if it is long. */
const folded = (id: string, items: Html[], label: string): Html | null => {
  if (items.length === 0) return null
  const shown = html`<ul class="evidence">
    ${items.slice(0, SHOWN)}
  </ul>`
  const rest = items.slice(SHOWN)
  if (rest.length === 0) return shown
  return html`${shown}
    <details id="${id}">
      <summary>${label} (+${rest.length})</summary>
      <ul class="evidence">
        ${rest}
      </ul>
    </details>`
}

/** The number, account or template that a text is about, in the words of the page. */
const named = (view: View, { about, kind }: Pick<Evidence, 'about' | 'kind'>): string => {
  if (kind) return `${templateTexts[view.context.language].kinds[kind]} (${about})`
  return about?.startsWith('+') ? telephoneText(about) : (about ?? '')
}

const proof = (view: View, evidence: Evidence): Html => {
  const { context, tenant } = view
  const { language } = context
  const about =
    evidence.code === 'quiet_chosen'
      ? tenant.quietWindows.map(window => formatWindow(language, window)).join(', ')
      : named(view, evidence)
  const text = checklistTexts[language].proofs[evidence.code](about)
  return html`${text} ${evidence.at && dayTime(evidence.at, new Date(), language, tenant.timezone)}`
}

/** Why something is paused or failed, for a person to read, and what to do about it. */
const reasonOf = (view: View, { code, reason }: Problem): { reason: string; remedy: string } => {
  const { language } = view.context
  if (!reason) return { reason: '', remedy: '' }
  if (code === 'template_rejected')
    return { reason: templateRejection(language, reason), remedy: '' }
  if (code !== 'connection_paused' && code !== 'template_paused' && code !== 'test_failed')
    return { reason, remedy: '' }
  const { why, whatNow } = errorAdvice(language, reason)
  return { reason: why, remedy: whatNow }
}

/** The problem in words, and its remedy. */
export const problemText = (view: View, problem: Problem): { why: string; whatNow: string } => {
  const text = checklistTexts[view.context.language].problems[problem.code]
  return typeof text === 'function'
    ? text({
        about: named(view, problem),
        ...reasonOf(view, problem),
        calls: problem.calls ?? 0,
      })
    : text
}

/** @param isLater an earlier step says what to do about a missing connection */
const todo = (view: View, problem: Problem, isLater: boolean): Html => {
  const { context, tenant } = view
  const { language, tenantScope } = context
  const texts = checklistTexts[language]
  if (problem.code === 'not_connected' && isLater) return html`<p>${texts.connectFirst}</p>`
  const { why, whatNow } = problemText(view, problem)
  const id = `${problem.code}-${(problem.about ?? '').replace(/\W/g, '')}`
  const value = (label: string, shown: string) => copyable(language, id, label, shown)
  const button = (section: SectionName, action: string, label: string) =>
    actionForm(context, {
      path: tenantPath(tenant.tenantId, section, action),
      label,
      ...(problem.about !== null && {
        fields: { phone: problem.about },
        about: named(view, problem),
      }),
    })
  return html`<p><b>${why}</b> ${whatNow}</p>
    ${problem.code === 'no_calls' && button('webhook', 'fresh', texts.newUrl)}
    ${problem.code === 'unknown_number' && tenantScope === null && button('numbers', 'add', texts.addNumber)}
    ${problem.code === 'number_unseen' && button('numbers', 'confirm', texts.confirmNumber)}
    ${
      problem.code === 'not_connected' &&
      tenant.numbers.slice(0, 1).map(({ phone }) => value(texts.values.displayNumber, phone))
    }
    ${NEEDS_CALLBACK.includes(problem.code) && metaValues(view, problem.code)}
    ${
      problem.code === 'no_events' &&
      problem.reason &&
      tenantScope === null &&
      value(texts.values.subscribe, subscribeCommand(problem.reason))
    }`
}

const subscribeCommand = (wabaId: string): string => {
  const { WHATSAPP_GRAPH_URL: base, WHATSAPP_GRAPH_VERSION: version } = config()
  return `curl -X POST "${base}/${version}/${wabaId}/subscribed_apps" -H "Authorization: Bearer $WHATSAPP_TOKEN"`
}

const NEEDS_CALLBACK: Problem['code'][] = [
  'verify_token_missing',
  'verify_token_wrong',
  'not_verified',
]

/** The values that a person enters at Meta so that it reports. Only the operator sees the verify token: all tenants share it. */
const metaValues = ({ context }: View, code: Problem['code']): Html => {
  const { language, tenantScope } = context
  const { values, local } = checklistTexts[language]
  const { PUBLIC_URL, WHATSAPP_VERIFY_TOKEN: token } = config()
  return html`${copyable(language, `${code}-url`, values.callback, `${PUBLIC_URL}/webhooks/whatsapp`)}
  ${isLoopback(PUBLIC_URL) && html`<p class="problem">⚠ ${local}</p>`}
  ${
    tenantScope === null &&
    token !== undefined &&
    copyable(language, `${code}-token`, values.verifyToken, token)
  }`
}

/** Where a problem is solved, if not in the checklist itself. */
const PAGES: Partial<Record<Problem['code'], SectionName>> = {
  no_number: 'numbers',
  not_connected: 'whatsapp',
  token_wrong: 'whatsapp',
  number_id_wrong: 'whatsapp',
  account_wrong: 'whatsapp',
  account_unknown: 'whatsapp',
  connection_paused: 'whatsapp',
  template_refused: 'templates',
  template_rejected: 'templates',
  template_paused: 'templates',
  template_marketing: 'templates',
  template_differs: 'templates',
  no_owner_phone: 'settings',
}

/** The buttons for all problems of a step. */
const stepAction = (view: View, name: Step['name'], missing: readonly Problem[]): Html | null => {
  const { context, tenant } = view
  const texts = checklistTexts[context.language]
  const has = (...codes: Problem['code'][]) => missing.some(({ code }) => codes.includes(code))
  const button = (section: SectionName, action: string, label: string) =>
    actionForm(context, { path: tenantPath(tenant.tenantId, section, action), label })
  if (name === 'quiet') return missing.length > 0 ? quietForm(view) : null
  const page = missing
    .filter(({ code }) => name === 'whatsapp' || code !== 'not_connected')
    .map(({ code }) => PAGES[code])
    .find(section => section === SECTIONS[name])
  return html`<div class="row">
    ${
      page &&
      html`<a class="button" href="${tenantPath(tenant.tenantId, page)}"
        >${texts.open(sectionName(context.language, page))}</a
      >`
    }
    ${
      name === 'whatsapp' &&
      missing.length > 0 &&
      !has('not_connected') &&
      button('whatsapp', 'check', texts.askAgain)
    }
    ${
      name === 'templates' &&
      has('template_missing', 'template_unknown') &&
      button('templates', 'submit', texts.submit)
    }
  </div>`
}
