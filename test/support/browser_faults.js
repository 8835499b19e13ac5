// Runs inside a page. Returns what does not fit, has no label, or has a repeated id.
;(() => {
  const faults = []
  const { clientWidth, scrollWidth } = document.documentElement
  if (scrollWidth > clientWidth) faults.push('scrolls sideways')
  for (const field of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!field.labels?.length && !field.getAttribute('aria-label'))
      faults.push(`no label: ${field.name}`)
  for (const button of document.querySelectorAll('button, summary, a'))
    if (!button.textContent.trim() && !button.getAttribute('aria-label'))
      faults.push(`no name: ${button.outerHTML}`)
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  faults.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map(id => `twice: ${id}`))
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one heading')
  return faults
})()
