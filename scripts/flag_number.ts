/** A flag that counts something. A wrong one ends the script with what was expected, rather than a run of NaN. */
export const wholeNumber = (flag: string, given: string): number => {
  if (/^\d{1,9}$/.test(given)) return Number(given)
  console.error(`--${flag}: expected a whole number`)
  process.exit(2)
}
