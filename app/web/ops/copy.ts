/** Values that a person enters elsewhere: at Voicenter or at Meta. */
import { html, type Html } from './html.ts'
import { type Language, translations } from './language.ts'

/** A value with a button that copies it. Without JavaScript there is no button. */
export const copyable = (language: Language, id: string, label: string, value: string): Html => {
  const { copy, copied } = copyTexts[language]
  return html`<p class="copy">
    <span>${label}</span> <code id="${id}" dir="ltr">${value}</code>
    <button type="button" data-copy="${id}" data-done="${copied}" aria-label="${copy}: ${label}">
      ${copy}
    </button>
  </p>`
}

const copyTexts = translations(
  { copy: 'Copy', copied: 'Copied' },
  { copy: 'העתקה', copied: 'הועתק' },
)
