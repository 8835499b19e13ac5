/** What ends a start and says itself what to do. Where in the program it was noticed would help nobody. */
export const startupError = (message: string): Error => {
  const error = new Error(message)
  delete error.stack
  return error
}

export const isStartupError = (error: unknown): error is Error =>
  error instanceof Error && error.stack === undefined
