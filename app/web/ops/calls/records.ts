import { html } from '../html.ts'
import type { CallRecord } from './facts.ts'
import { when } from '../format.ts'
import type { Language } from '../language.ts'
import { callWords } from '../words/call.ts'

/** The records of a call as they came, behind a click. */
export const recordsOf = (records: CallRecord[], language: Language, timezone?: string) => {
  const words = callWords[language]
  return html`<section class="card">
    <h2>${words.records}</h2>
    ${records.map(
      ({ id, callId, receivedAt, payload, body, bytes }, index) =>
        html`<details id="record-${id}">
          <summary>
            ${words.record(index + 1)} · ${when(receivedAt, language, timezone)} ·
            <code>${callId}</code>
          </summary>
          ${bytes === null && html`<p class="quiet">${words.emptied}</p>`}
          ${bytes !== null && payload === null && html`<p class="quiet">${words.tooLong}</p>`}
          ${
            payload !== null &&
            html`<h3>${words.asParsed}</h3>
              <pre>${JSON.stringify(payload, null, 2)}</pre>`
          }
          ${
            body !== null &&
            html`<h3>${words.asReceived} <small>(${bytes} ${words.bytes})</small></h3>
              <pre>${body.toString('utf8')}</pre>`
          }
        </details>`,
    )}
  </section>`
}
