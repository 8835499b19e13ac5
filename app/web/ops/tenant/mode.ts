/** Trial, live, paused: what each means, and the way from one to another. */
import { resumeTenant, settings, setTenant } from '../../../tenants/settings.ts'
import { html, type Html } from '../html.ts'
import { text } from '../attempt.ts'
import { deedForm } from '../deed_form.ts'
import { refused, whyNot } from '../fields.ts'
import { spanText } from '../span_text.ts'
import { windowText } from '../window_text.ts'
import { tenantWords } from '../words/tenant.ts'
import { type About, pathOf, type Section } from './section.ts'

const MODES = ['shadow', 'live', 'paused'] as const
type Mode = (typeof MODES)[number]

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].mode

const goLive = ({ visit, shown }: About, isReady: boolean): Html => {
  const words = wordsOf({ visit })
  const span = (written: string) => spanText(visit.language, written)
  const quiet = shown.quietWindows.map(window => windowText(visit.language, window)).join(', ')
  return html`<details id="go-live">
    <summary class="button main">${words.toLive}</summary>
    <h3>${words.what}</h3>
    <p>${words.first(span(shown.outreachDelay))}</p>
    <p>${words.reminders(span(shown.reminder1After), span(shown.reminder2After))}</p>
    ${shown.quietWindows.length > 0 && html`<p>${words.quiet(quiet)}</p>`}
    ${shown.waiting > 0 && html`<p>${words.waiting(shown.waiting)}</p>`}
    ${!isReady && html`<p class="problem">⚠ ${words.notReady}</p>`}
    ${deedForm(visit, {
      path: pathOf(shown.tenantId, 'overview', 'mode'),
      label: words.sure,
      fields: { mode: 'live' },
    })}
  </details>`
}

const button = ({ visit, shown }: About, mode: Mode): Html =>
  deedForm(visit, {
    path: pathOf(shown.tenantId, 'overview', 'mode'),
    label: mode === 'paused' ? wordsOf({ visit }).toPaused : wordsOf({ visit }).toShadow,
    fields: { mode },
  })

/** @param isReady whether nothing else is missing */
export const modeCard = (about: About, isReady: boolean): Html => {
  const { visit, shown, refusal } = about
  const words = wordsOf(about)
  return html`<section class="card" id="live">
    <h2>${words.title}</h2>
    ${refused(visit.language, refusal, 'mode')} ${whyNot(refusal, 'resume')}
    <dl class="modes">
      ${MODES.map(
        mode =>
          html`<dt>
              ${words.names[mode]}
              ${mode === shown.mode && html`<span class="badge good">${words.now}</span>`}
            </dt>
            <dd>
              <p>${words.means[mode]}</p>
              ${mode !== shown.mode && (mode === 'live' ? goLive(about, isReady) : button(about, mode))}
              ${
                mode === 'paused' &&
                shown.mode === 'paused' &&
                html`${deedForm(visit, {
                    path: pathOf(shown.tenantId, 'overview', 'resume'),
                    label: words.resume,
                  })}
                  <p class="quiet">${words.resumeMeans}</p>`
              }
            </dd>`,
      )}
    </dl>
  </section>`
}

const said = (about: Pick<About, 'visit'>, after: { mode?: unknown }): string => {
  const words = wordsOf(about)
  const mode = MODES.find(one => one === after.mode)
  return mode ? words.said[mode] : words.unchanged
}

export const modeDeeds: Section['deeds'] = {
  mode: async ({ trx, visit, tenantId, form }) => {
    const wanted = settings.required({ mode: true }).parse({ tenantId, mode: text(form, 'mode') })
    const { after } = await setTenant(trx, visit.signIn, wanted)
    return { said: said({ visit }, after) }
  },
  resume: async ({ trx, visit, tenantId }) => {
    const { after } = await resumeTenant(trx, visit.signIn, tenantId)
    return { said: said({ visit }, after) }
  },
}
