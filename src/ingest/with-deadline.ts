import { AppError } from '../core/errors.ts'

/**
 * Rejects with `unavailable` if `work` takes longer than `limitMs`. Its late result does no harm, because the database
 * knows each heartbeat by its id.
 */
export function withDeadline<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new AppError('unavailable', 'the database took too long'))
    const timer = setTimeout(late, limitMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
