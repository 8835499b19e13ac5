/** The template of each kind of message. */
import { change, changeTemplate, KINDS, templatesOf } from '../../../tenants/templates.ts'
import { DEFAULT_TEMPLATES, type TemplateKind } from '../../../whatsapp/templates.ts'
import { html, type Html } from '../html.ts'
import { type Refusal, several, text } from '../attempt.ts'
import { carefulForm, deedForm } from '../deed_form.ts'
import { choice, input, refused, whyNot } from '../fields.ts'
import type { Form } from '../page.ts'
import { refuse } from '../refuse.ts'
import { mistakeWords } from '../words/mistakes.ts'
import { tenantWords } from '../words/tenant.ts'
import { pausedBecause } from '../words/whatsapp_reason.ts'
import { type About, form, pathOf, refusalOf, type Section } from './section.ts'

/** Places for variables that a form offers at least: as many as any of our own templates has. */
const PLACES = 3

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].templates

type Template = About['shown']['templates'][number]

/** The refusal of this kind's form. The name in it is a template's, of which something else is expected. */
const refusalFor = (about: About, kind: TemplateKind): Refusal | null => {
  const refusal = refusalOf(about, 'save')
  if (!refusal || text(refusal.entered, 'kind') !== kind) return null
  const { name, ...problems } = refusal.problems
  const expected = mistakeWords[about.visit.language].expected.template
  return { ...refusal, problems: name === undefined ? problems : { ...problems, name: expected } }
}

const fields = (about: About, kind: TemplateKind, template: Template): Html => {
  const words = wordsOf(about)
  const refusal = refusalFor(about, kind)
  const variables = refusal
    ? several(refusal.entered, 'variable')
    : template.variables.split(',').filter(Boolean)
  const places = Array.from({ length: Math.max(PLACES, variables.length) }, (_, place) => place)
  const options = { '': words.nothing, ...words.variables }
  return html`${refusal && refused(about.visit.language, refusal, 'save')}
    <input type="hidden" name="kind" value="${kind}" />
    ${input({ name: 'name', label: words.name, direction: 'ltr', value: template.name, refusal })}
    ${input({
      name: 'language',
      label: words.language,
      direction: 'ltr',
      value: template.language,
      refusal,
    })}
    ${places.map(place =>
      choice({
        name: 'variable',
        label: words.variable(place + 1),
        value: variables[place] ?? '',
        options,
      }),
    )}
    <button class="main">${words.save}</button>`
}

const isUsual = (kind: TemplateKind, { name, language, variables, state }: Template): boolean => {
  const usual = DEFAULT_TEMPLATES[kind]
  const same = variables === usual.variables.join(',') && state === 'active'
  return same && name === usual.name && language === usual.language
}

const card = (about: About, kind: TemplateKind): Html | false => {
  const { visit, shown } = about
  const words = wordsOf(about)
  const templates = shown.templates.filter(one => one.kind === kind)
  // What is paused with one of several numbers is what a person has to see.
  const template = templates.find(one => one.state === 'paused') ?? templates[0]
  if (!template) return false
  const isPaused = template.state === 'paused'
  const pausing = pausedBecause(visit.language, template.reason)
  const path = (deed: string) => pathOf(shown.tenantId, 'templates', deed)
  return html`<section class="card">
    <div class="row">
      <h2>${words.kinds[kind]}</h2>
      <span class="badge ${isPaused ? 'bad' : 'good'}"
        >${isPaused ? words.states.paused : words.states.active}</span
      >
      <bdi class="quiet">${template.name}</bdi>
    </div>
    ${
      isPaused &&
      html`<p>${words.pausedWhy} ${pausing.why} ${pausing.whatNow}</p>
        ${deedForm(visit, { path: path('resume'), label: words.resume, fields: { kind } })}`
    }
    <details id="template-${kind}" ${refusalFor(about, kind) && html`open`}>
      <summary>${words.change}</summary>
      ${form(about, 'templates', 'save', fields(about, kind, template))}
    </details>
    <details id="text-${kind}">
      <summary>${words.text}</summary>
      <p lang="he" dir="rtl">${DEFAULT_TEMPLATES[kind].text}</p>
    </details>
    ${
      !isUsual(kind, template) &&
      carefulForm(visit, {
        id: `usual-${kind}`,
        open: words.back,
        warning: words.backWarning,
        path: path('usual'),
        label: words.backSure,
        fields: { kind },
      })
    }
  </section>`
}

const kindIn = (form: Form): TemplateKind =>
  KINDS.find(kind => kind === text(form, 'kind')) ?? refuse(400)

export const templates: Section = {
  show: about => {
    const words = wordsOf(about)
    if (about.shown.connections.length === 0)
      return html`${whyNot(about.refusal, 'save', 'resume', 'usual')}
        <p class="empty">
          <a href="${pathOf(about.shown.tenantId, 'whatsapp')}">${words.none}</a>
        </p>`
    return html`<p class="quiet">${words.help}</p>
      <div class="columns">${KINDS.map(kind => card(about, kind))}</div>`
  },
  deeds: {
    save: async ({ trx, visit, tenantId, form }) => {
      const kind = kindIn(form)
      const wanted = change.parse({
        tenantId,
        kind,
        name: text(form, 'name')?.trim(),
        language: text(form, 'language')?.trim(),
        variables: several(form, 'variable').filter(Boolean),
      })
      const words = wordsOf({ visit })
      const known = (await templatesOf(trx, tenantId)).filter(one => one.kind === kind)
      const isSame = known.every(
        ({ name, language, variables }) =>
          name === wanted.name &&
          language === wanted.language &&
          variables === wanted.variables?.join(','),
      )
      // A paused one must not go on because somebody looked at it and pressed the button.
      if (known.length > 0 && isSame) return { said: words.unchanged }
      await changeTemplate(trx, visit.signIn, { ...wanted, kind })
      return { said: words.saved }
    },
    resume: async ({ trx, visit, tenantId, form }) => {
      const wanted = change.parse({ tenantId, kind: kindIn(form), resume: true })
      await changeTemplate(trx, visit.signIn, { ...wanted, kind: kindIn(form) })
      return { said: wordsOf({ visit }).resumed }
    },
    usual: async ({ trx, visit, tenantId, form }) => {
      const wanted = change.parse({ tenantId, kind: kindIn(form), backToDefault: true })
      await changeTemplate(trx, visit.signIn, { ...wanted, kind: kindIn(form) })
      return { said: wordsOf({ visit }).backDone }
    },
  },
}
