/** The page of the WhatsApp templates, and its actions. */
import { opsDb } from '../../../db/kysely.ts'
import { lockTenant } from '../../../db/locks.ts'
import { isUserError } from '../../../errors.ts'
import {
  readSettings,
  settingsChange,
  setTenant,
  type TenantSettings,
} from '../../../tenants/settings.ts'
import {
  planResubmit,
  planSubmit,
  storeSubmitted,
  submitPlan,
} from '../../../tenants/template_submit.ts'
import { askAccounts, requireAccounts, storeTemplates } from '../../../tenants/template_sync.ts'
import { templateChange, templateResubmit } from '../../../tenants/template_change.ts'
import { changeTemplate, type TemplateInUse, templatesOf } from '../../../tenants/templates.ts'
import { LANGUAGES } from '../../../whatsapp/templates.ts'
import { dayTime } from '../format.ts'
import {
  actionForm,
  buttonAlert,
  changedHere,
  checkbox,
  fieldProblem,
  formAlert,
  formLines,
  formValue,
  formValues,
  only,
  select,
  shownInput,
  textArea,
} from '../forms.ts'
import { abort } from '../errors.ts'
import { html, type Html } from '../html.ts'
import { templateTexts } from '../locales/templates.ts'
import type { Form } from '../sign_in_form.ts'
import {
  failedForm,
  type Prepared,
  type Section,
  type SectionResult,
  sectionForm,
  tenantPath,
  type View,
} from './section.ts'
import { addCard, templateCard, templateFields } from './template_cards.ts'

const metaCard = (view: View): Html => {
  const { context, tenant, failed } = view
  const texts = templateTexts[context.language]
  const path = (action: string) => tenantPath(tenant.tenantId, 'templates', action)
  const times = tenant.templates.flatMap(({ syncedAt }) => syncedAt ?? [])
  const last = times.toSorted((a, b) => b.getTime() - a.getTime())[0]
  return html`<section class="card">
    <h2>${texts.meta}</h2>
    ${buttonAlert(failed, 'submit', 'sync')}
    <p class="quiet">${texts.submitHelp}</p>
    <div class="row">
      ${actionForm(context, { path: path('submit'), label: texts.submit })}
      ${actionForm(context, { path: path('sync'), label: texts.sync })}
    </div>
    <p class="quiet">
      ${last ? html`${texts.asked} ${dayTime(last, new Date(), context.language, tenant.timezone)}` : texts.neverAsked}
    </p>
  </section>`
}

/** What the form shows and changes. The first language is the main one, and the order of the others has no meaning. */
const settingsFields = ({
  languages: [main, ...more] = [],
  openingHours,
}: {
  languages?: string[] | undefined
  openingHours?: string[] | undefined
}) => ({
  languages: main && [main, ...more.toSorted()],
  openingHours,
})

const settingsCard = (view: View, settings: TenantSettings): Html => {
  const { context, tenant } = view
  const texts = templateTexts[context.language]
  const failed = failedForm(view, 'settings')
  const [main = 'he', ...more] = failed
    ? [formValue(failed.entered, 'language') ?? '', ...formValues(failed.entered, 'languages')]
    : tenant.languages
  const storedLanguages = tenant.languages
    .flatMap(code => LANGUAGES.find(one => one === code) ?? [])
    .map(language => texts.languages[language])
  return html`<section class="card">
    <h2>${texts.settings}</h2>
    ${formAlert(context.language, failed, 'settings')}
    ${sectionForm(
      view,
      'templates',
      'settings',
      html`${select({
          name: 'language',
          label: texts.mainLanguage,
          value: main,
          options: texts.languages,
          failed,
        })}
        <div role="group" aria-label="${texts.moreLanguages}">
          <p>${texts.moreLanguages}</p>
          <div class="ticks">
            ${LANGUAGES.map(language =>
              checkbox('languages', language, texts.languages[language], more.includes(language)),
            )}
          </div>
          ${fieldProblem(failed, 'languages', storedLanguages.join(', '))}
        </div>
        ${textArea({
          name: 'openingHours',
          label: texts.openingHours,
          help: texts.openingHoursHelp,
          rows: 3,
          value: tenant.openingHours.join('\n'),
          failed,
        })}
        <button class="main">${texts.save}</button>`,
      shownInput(settingsFields(settings), failed),
    )}
  </section>`
}

/** A tenant may have several numbers, each with its templates. The template that needs a person most is shown. */
const mostUrgent = (templates: TemplateInUse[]): TemplateInUse | undefined =>
  templates.find(one => one.state === 'paused') ??
  templates.find(one => one.isHeld || one.differs.length > 0) ??
  templates[0]

const shownTemplates = (templates: TemplateInUse[]): TemplateInUse[] => {
  const groups = Map.groupBy(templates, ({ kind, number, hours }) => `${kind} ${number} ${hours}`)
  return [...groups.values()].flatMap(group => mostUrgent(group) ?? [])
}

const scopeOf = (form: Form) => ({
  kind: formValue(form, 'kind'),
  number: formValue(form, 'number') || undefined,
  hours: formValue(form, 'hours') || undefined,
})

const CHANGES = ['name', 'language', 'variables', 'body', 'buttons'] as const
const parseChange = (wanted: object) => {
  const change = templateChange.parse(wanted)
  return { ...change, kind: change.kind ?? abort(400) }
}

/** Asks Graph, and keeps a refusal for the action, which shows it. */
const prepared = async (work: () => Promise<Prepared>): Promise<Prepared> => {
  try {
    return await work()
  } catch (error) {
    if (isUserError(error)) return { refused: error }
    throw error
  }
}

const required = <Known extends keyof Prepared>(
  found: Prepared | undefined,
  name: Known,
): NonNullable<Prepared[Known]> => {
  if (found?.refused) throw found.refused
  const answer = found?.[name]
  if (!answer) throw new Error(`Graph was not asked: ${name}`)
  return answer
}

export const templates: Section = {
  show: async view => {
    const texts = templateTexts[view.context.language]
    if (view.tenant.connections.length === 0)
      return html`${buttonAlert(view.failed, 'save', 'resume', 'usual', 'submit', 'sync', 'resubmit', 'add')}
        <p class="empty">
          <a href="${tenantPath(view.tenant.tenantId, 'whatsapp')}">${texts.none}</a>
        </p>`
    const settings = await readSettings(view.trx, view.tenant.tenantId)
    return html`<p class="quiet">${texts.help}</p>
      ${buttonAlert(view.failed, 'resume', 'usual')} ${metaCard(view)}
      <div class="columns">
        ${shownTemplates(view.tenant.templates).map(one => templateCard(view, one))}
      </div>
      <div class="columns">${addCard(view)} ${settingsCard(view, settings)}</div>`
  },

  ask: ({ action, actor, tenantId, form }) =>
    prepared(async () => {
      if (action === 'sync') {
        const accounts = await opsDb.transaction().execute(trx => requireAccounts(trx, tenantId))
        return { asked: await askAccounts(accounts) }
      }
      if (action === 'submit') {
        const plan = await opsDb.transaction().execute(trx => planSubmit(trx, tenantId))
        return { submitted: await submitPlan(plan) }
      }
      if (action === 'resubmit') {
        const wanted = templateResubmit.safeParse({
          tenantId,
          ...scopeOf(form),
          body: formValue(form, 'body')?.replaceAll('\r', ''),
        })
        // The action reports the problem.
        if (!wanted.success) return {}
        const plan = await opsDb.transaction().execute(trx => planResubmit(trx, actor, wanted.data))
        return { submitted: await submitPlan(plan) }
      }
      return {}
    }),

  actions: {
    submit: async ({ trx, context, tenantId, prepared }) => {
      const answers = required(prepared, 'submitted')
      return afterSubmit(
        context.language,
        await storeSubmitted(trx, context.signIn, tenantId, answers),
      )
    },
    sync: async ({ trx, context, tenantId, prepared }) => {
      const asked = required(prepared, 'asked')
      const { problems } = await storeTemplates(trx, context.signIn, tenantId, asked)
      const texts = templateTexts[context.language]
      const [problem] = problems
      return { flash: problem ? texts.problems[problem.why] : texts.synced }
    },
    resubmit: async ({ trx, context, tenantId, form, prepared }) => {
      templateResubmit.parse({ tenantId, ...scopeOf(form), body: formValue(form, 'body') })
      const answers = required(prepared, 'submitted')
      const result = await storeSubmitted(trx, context.signIn, tenantId, answers)
      const texts = templateTexts[context.language]
      const isTaken = result.submitted.every(one => one.result === 'submitted')
      return isTaken && result.problems.length === 0
        ? { flash: texts.resubmitted }
        : afterSubmit(context.language, result)
    },
    save: async ({ trx, context, tenantId, form }) => {
      const { kind } = parseChange({ tenantId, ...scopeOf(form) })
      await lockTenant(trx, tenantId)
      const before = (await templatesOf(trx, tenantId)).filter(isOf(form))
      const current = mostUrgent(before)
      const entered = {
        name: formValue(form, 'name')?.trim(),
        language: formValue(form, 'language')?.trim(),
        variables: formValues(form, 'variable').filter(Boolean),
        body: formValue(form, 'body')?.replaceAll('\r', '').trim(),
        buttons: kind === 'owner_notice' ? undefined : formValues(form, 'button'),
      }
      // Only changed fields are passed on: a field that is passed on may choose another template.
      const changed = changedHere(form, current ? templateFields(current) : {}, entered)
      // Another name needs the text too.
      if (changed.includes('name')) changed.push('body')
      const body = entered.body || undefined
      const wanted = parseChange({
        tenantId,
        ...scopeOf(form),
        ...only({ ...entered, body }, changed),
      })
      const texts = templateTexts[context.language]
      // Saving resumes a paused template, so saving without a change must do nothing.
      const isSame = CHANGES.every(field => wanted[field] === undefined)
      if (before.length > 0 && isSame) return { flash: texts.unchanged }
      await changeTemplate(trx, context.signIn, wanted)
      return { flash: texts.saved }
    },
    add: async ({ trx, context, tenantId, form }) => {
      const name = formValue(form, 'name')?.trim() || undefined
      const body = formValue(form, 'body')?.replaceAll('\r', '').trim() || undefined
      const buttons = formValues(form, 'button')
      const wanted = parseChange({
        tenantId,
        ...scopeOf(form),
        name,
        body,
        ...(buttons.length > 0 && { buttons }),
      })
      await changeTemplate(trx, context.signIn, wanted)
      return { flash: templateTexts[context.language].saved }
    },
    resume: async ({ trx, context, tenantId, form }) => {
      const wanted = { tenantId, ...scopeOf(form), resume: true }
      await changeTemplate(trx, context.signIn, parseChange(wanted))
      return { flash: templateTexts[context.language].resumed }
    },
    usual: async ({ trx, context, tenantId, form }) => {
      const scope = scopeOf(form)
      const wanted = { tenantId, ...scope, backToDefault: true }
      await changeTemplate(trx, context.signIn, parseChange(wanted))
      const texts = templateTexts[context.language]
      return { flash: scope.number || scope.hours ? texts.removed : texts.resetDone }
    },
    settings: async ({ trx, context, tenantId, form }) => {
      const language = formValue(form, 'language') ?? ''
      const wanted = settingsChange.parse({
        tenantId,
        languages: [language, ...formValues(form, 'languages')],
        openingHours: formLines(form, 'openingHours'),
      })
      await lockTenant(trx, tenantId)
      const stored = settingsFields(await readSettings(trx, tenantId))
      const changed = changedHere(form, stored, settingsFields(wanted))
      const change = { tenantId, ...only(wanted, changed) }
      const { after } = await setTenant(trx, context.signIn, change)
      const texts = templateTexts[context.language]
      return { flash: Object.keys(after).length > 0 ? texts.saved : texts.unchanged }
    },
  },
}

const isOf =
  (form: Form) =>
  ({ kind, number, hours }: TemplateInUse): boolean => {
    const scope = scopeOf(form)
    return (
      kind === scope.kind && number === (scope.number ?? null) && hours === (scope.hours ?? null)
    )
  }

const afterSubmit = (
  language: View['context']['language'],
  { submitted, problems }: Awaited<ReturnType<typeof storeSubmitted>>,
): SectionResult => {
  const texts = templateTexts[language]
  const [problem] = problems
  if (problem) return { flash: texts.problems[problem.why] }
  const count = (...results: string[]) =>
    submitted.filter(({ result }) => results.includes(result)).length
  if (count('unanswered') > 0) return { flash: texts.problems.unanswered }
  const refused = count('refused')
  return { flash: refused > 0 ? texts.notSubmitted(refused) : texts.submitted(count('submitted')) }
}
