/** A message to the owner's own phone, and what became of the last one. */
import type { Trx } from '../../../db/kysely.ts'
import { testMessage } from '../../../tenants/test_message.ts'
import { html, type Html } from '../html.ts'
import { deedForm } from '../deed_form.ts'
import { whyNot } from '../fields.ts'
import { when } from '../format.ts'
import { tenantWords } from '../words/tenant.ts'
import { type About, pathOf, type Section } from './section.ts'

export type LastTest = { state: string; code: number | null; at: Date }

export const lastTest = async (trx: Trx, tenantId: string): Promise<LastTest | null> =>
  (await trx
    .selectFrom('messages')
    .select(['state', 'error_code as code', 'created_at as at'])
    .where('tenant_id', '=', tenantId)
    .where('occasion', 'like', 'test:%')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()) ?? null

type States = (typeof tenantWords)['en']['test']['states']
const isState = (state: string): state is keyof States => state in tenantWords.en.test.states

export const testCard = ({ visit, shown, refusal }: About, last: LastTest | null): Html => {
  const words = tenantWords[visit.language].test
  return html`<section class="card" id="test">
    <h2>${words.title}</h2>
    <p class="quiet">${words.help}</p>
    ${whyNot(refusal, 'test')}
    ${
      last &&
      html`<p>
        ${words.last} (${when(last.at, visit.language, shown.timezone)}):
        <b>${isState(last.state) ? words.states[last.state] : last.state}</b>
        ${last.code !== null && words.code(last.code)}
      </p>`
    }
    ${deedForm(visit, { path: pathOf(shown.tenantId, 'overview', 'test'), label: words.send })}
  </section>`
}

export const testDeeds: Section['deeds'] = {
  test: async ({ trx, visit, tenantId }) => {
    await testMessage(trx, visit.signIn, tenantId)
    return { said: tenantWords[visit.language].test.said }
  },
}
