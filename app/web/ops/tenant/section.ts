/** What the pages of one business have in common. */
import type { Trx } from '../../../db/kysely.ts'
import type { TenantShown } from '../../../tenants/tenants.ts'
import { html, type Html } from '../html.ts'
import type { Refusal } from '../attempt.ts'
import type { Page } from '../layout.ts'
import type { Form, Visit } from '../page.ts'
import { tenantsWords } from '../words/tenants.ts'
import { tenantWords } from '../words/tenant.ts'

export type SectionName = keyof (typeof tenantWords)['en']['sections']

/** What a page of a business is made from. */
export type About = {
  trx: Trx
  visit: Visit
  shown: TenantShown
  /** Of one of its forms, which could not be done and stands there again. */
  refusal: Refusal | null
}
/** What a form asks for. The business is the one of its path, never one that it names. */
export type Wish = { trx: Trx; visit: Visit; tenantId: string; form: Form }
/** What to say on the page it leads back to; or what is shown this once. */
export type Done = { said: string } | { once: Html }

/** One page of a business, and the forms on it. */
export type Section = {
  show: (about: About) => Html | Promise<Html>
  /** By the end of the path they are posted to. */
  deeds: Record<string, (wish: Wish) => Promise<Done>>
}

const isMode = (mode: string): mode is keyof (typeof tenantsWords)['en']['modes'] =>
  mode in tenantsWords.en.modes

const LOOKS = { live: 'good', shadow: 'warn', paused: 'bad' }

export const modeBadge = (mode: string, { language }: Pick<Visit, 'language'>): Html =>
  isMode(mode)
    ? html`<span class="badge ${LOOKS[mode]}">${tenantsWords[language].modes[mode]}</span>`
    : html`<span class="badge">${mode}</span>`

/** Where a page of a business is, and below it where its forms are posted to. */
export const pathOf = (tenantId: string, section: SectionName, deed?: string): string =>
  [`/ops/tenants/${tenantId}`, ...(section === 'overview' && !deed ? [] : [section]), deed ?? []]
    .flat()
    .join('/')

/** In the order in which they stand above the page. */
export const NAMES: SectionName[] = [
  'overview',
  'settings',
  'numbers',
  'whatsapp',
  'templates',
  'webhook',
  'password',
  'export',
]

/** A page of a business, with the way to its others above it. */
export const framed = (
  visit: Visit,
  { tenantId, name, mode }: Pick<TenantShown, 'tenantId' | 'name' | 'mode'>,
  section: SectionName,
  body: Html,
): Page => {
  const words = tenantWords[visit.language]
  return {
    name: 'tenants',
    title: section === 'overview' ? name : `${words.sections[section]} · ${name}`,
    body: html`<div class="row">
        <h1><bdi>${name}</bdi></h1>
        ${modeBadge(mode, visit)}
      </div>
      <nav class="parts" aria-label="${words.parts}">
        ${NAMES.map(
          one =>
            html`<a href="${pathOf(tenantId, one)}" ${one === section && html`aria-current="page"`}
              >${words.sections[one]}</a
            >`,
        )}
      </nav>
      ${body}`,
  }
}

/** A form with several fields; a single button is a `deedForm`. */
export const form = (
  { visit, shown }: About,
  section: SectionName,
  deed: string,
  body: Html,
): Html =>
  html`<form method="post" action="${pathOf(shown.tenantId, section, deed)}" autocomplete="off">
    <input type="hidden" name="form" value="${visit.formToken}" />
    ${body}
  </form>`

/** The refusal of this very form, and not of another on the page. */
export const refusalOf = ({ refusal }: About, deed: string): Refusal | null =>
  refusal?.deed === deed ? refusal : null
