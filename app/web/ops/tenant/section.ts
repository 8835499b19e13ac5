/** What the pages of one tenant have in common. */
import type { Trx } from '../../../db/kysely.ts'
import type { TenantShown } from '../../../tenants/tenants.ts'
import type { Actor } from '../../../audit.ts'
import type { UserError } from '../../../errors.ts'
import type { AskedNumber } from '../../../tenants/accounts.ts'
import type { SubmitAnswers } from '../../../tenants/template_submit.ts'
import type { Asked } from '../../../tenants/template_sync.ts'
import type { GraphAnswer } from '../../../whatsapp/account.ts'
import type { Context } from '../access.ts'
import type { FailedForm } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { type Language, translations } from '../language.ts'
import type { Page } from '../layout.ts'
import type { Form } from '../sign_in_form.ts'

/** In the order of the navigation. */
export const SECTION_NAMES = [
  'overview',
  'settings',
  'numbers',
  'exclusions',
  'whatsapp',
  'templates',
  'webhook',
  'events',
  'password',
  'export',
] as const
export type SectionName = (typeof SECTION_NAMES)[number]

/** What a section is rendered from. */
export type View = {
  trx: Trx
  context: Context
  tenant: TenantShown
  /** One of its forms, if it was just sent with wrong input. */
  failed: FailedForm | null
}

/** The tenant id comes from the path, never from the form. */
export type ActionContext = {
  trx: Trx
  context: Context
  tenantId: string
  form: Form
  /** Graph's answers, from `Section.ask`. */
  prepared?: Prepared | undefined
}

/** Graph's answers, which were fetched while no transaction was open. */
export type Prepared = {
  /** About the number in the form. */
  answer?: GraphAnswer
  /** About the numbers that are connected. */
  numbers?: AskedNumber[]
  /** About the templates. */
  asked?: Asked[]
  submitted?: SubmitAnswers
  /** The reason why Graph was not asked. */
  refused?: UserError
}
type Question = { action: string; actor: Actor; tenantId: string; form: Form }
/** A message; or a secret that `once` shows; or a page that is shown only in this answer. */
export type SectionResult = { flash: string } | { secret: string } | { page: Html }

export type Section = {
  show: (view: View) => Html | Promise<Html>
  /** Shows what an action made, such as a new password. */
  once?: (view: View, action: string, secret: string) => Html
  /** By the last part of their path. */
  actions: Record<string, (action: ActionContext) => Promise<SectionResult>>
  /** Asks Graph before one of its actions, outside the transaction. */
  ask?: (question: Question) => Promise<Prepared>
}

/** The path of a section, or of one of its actions. */
export const tenantPath = (tenantId: string, section: SectionName, action?: string): string => {
  const path = `/ops/tenants/${tenantId}`
  if (action) return `${path}/${section}/${action}`
  return section === 'overview' ? path : `${path}/${section}`
}

const isMode = (mode: string): mode is keyof typeof BADGES => Object.hasOwn(BADGES, mode)

const BADGES = { live: 'good', shadow: 'warn', paused: 'bad' }

export const modeBadge = (mode: string, { language }: Pick<Context, 'language'>): Html =>
  isMode(mode)
    ? html`<span class="badge ${BADGES[mode]}">${sectionTexts[language].modes[mode]}</span>`
    : html`<span class="badge">${mode}</span>`

/** The name of a section in the navigation. */
export const sectionName = (language: Language, section: SectionName): string =>
  sectionTexts[language].sections[section]

/** A section with its heading and navigation. */
export const tenantLayout = (
  context: Context,
  { tenantId, name, mode }: Pick<TenantShown, 'tenantId' | 'name' | 'mode'>,
  section: SectionName,
  body: Html,
): Page => {
  const { navigation, sections } = sectionTexts[context.language]
  return {
    name: 'tenants',
    title: section === 'overview' ? name : `${sections[section]} · ${name}`,
    body: html`<div class="row">
        <h1><bdi>${name}</bdi></h1>
        ${modeBadge(mode, context)}
      </div>
      <nav class="parts" aria-label="${navigation}">
        ${SECTION_NAMES.map(
          one =>
            html`<a
              href="${tenantPath(tenantId, one)}"
              ${one === section && html`aria-current="page"`}
              >${sections[one]}</a
            >`,
        )}
      </nav>
      ${body}`,
  }
}

/**
 * A form with fields. For a single button, use `actionForm`.
 *
 * @param shown `shownInput`, if the fields show what is stored
 */
export const sectionForm = (
  { context, tenant }: View,
  section: SectionName,
  action: string,
  body: Html,
  shown: Html | null = null,
): Html =>
  html`<form
    method="post"
    action="${tenantPath(tenant.tenantId, section, action)}"
    autocomplete="off"
  >
    <input type="hidden" name="form" value="${context.formToken}" />
    ${shown} ${body}
  </form>`

/** The failed form, if it is this one. */
export const failedForm = ({ failed }: View, action: string): FailedForm | null =>
  failed?.action === action ? failed : null

const sectionTexts = translations(
  {
    navigation: 'Pages of this business',
    sections: {
      overview: 'Overview',
      settings: 'Settings',
      numbers: 'Numbers',
      exclusions: 'Excluded',
      whatsapp: 'WhatsApp',
      templates: 'Templates',
      webhook: 'Webhook',
      events: 'Events',
      password: 'Password',
      export: 'Export',
    },
    modes: { live: 'live', shadow: 'trial', paused: 'paused' },
  },
  {
    navigation: 'הדפים של העסק',
    sections: {
      overview: 'סקירה',
      settings: 'הגדרות',
      numbers: 'מספרים',
      exclusions: 'מוחרגים',
      whatsapp: 'WhatsApp',
      templates: 'תבניות',
      webhook: 'Webhook',
      events: 'אירועים',
      password: 'סיסמה',
      export: 'ייצוא',
    },
    modes: { live: 'פעיל', shadow: 'ניסיון', paused: 'מושהה' },
  },
)
