// Reloads the content of the page every few seconds while the page is visible, but not while the visitor fills in a form
// or has selected text.
const EVERY_MS = 5000
const content = () => document.querySelector('#content')

const isBusy = () =>
  content().contains(document.activeElement?.closest('input, select, textarea, button')) ||
  !document.getSelection().isCollapsed

const openDetails = () => [...document.querySelectorAll('details[id][open]')].map(({ id }) => id)

// What is written in a form with `data-draft` survives a reload of the page, until the form was sent: then its key changes.
const DRAFT = 'ringback:draft'
const draftForm = () => document.querySelector('form[data-draft]')

const keepDraft = isSent => {
  const form = draftForm()
  const { text, key } = form.elements
  const draft = { of: form.dataset.draft, text: text.value, sentWith: isSent ? key.value : null }
  sessionStorage.setItem(DRAFT, JSON.stringify(draft))
}

const restoreDraft = () => {
  const form = draftForm()
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? 'null')
  if (!form || draft?.of !== form.dataset.draft) return
  const { text, key } = form.elements
  if (draft.sentWith !== null && draft.sentWith !== key.value) sessionStorage.removeItem(DRAFT)
  else if (text.value === '') text.value = draft.text
}
document.addEventListener('input', ({ target }) => {
  if (target.form && target.form === draftForm()) keepDraft(false)
})
document.addEventListener('submit', ({ target }) => {
  if (target === draftForm()) keepDraft(true)
})

let shown = content().innerHTML
restoreDraft()
let waitMs = EVERY_MS

const refresh = async () => {
  if (document.hidden || isBusy()) return
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
  document.getElementById('signed-out').hidden = answer.status !== 401
  // Signed out or not available: the old content stays.
  if (!answer.ok) throw new Error(`answered ${answer.status}`)
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const next = page.querySelector('#content').innerHTML
  if (next === shown || isBusy()) return
  const open = openDetails()
  content().innerHTML = next
  shown = next
  restoreDraft()
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
}

const loop = async () => {
  try {
    await refresh()
    waitMs = EVERY_MS
  } catch {
    waitMs = Math.min(waitMs * 2, 60_000)
  }
  setTimeout(() => void loop(), waitMs)
}
setTimeout(() => void loop(), waitMs)
