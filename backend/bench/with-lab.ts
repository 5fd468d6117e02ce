import type { Person } from '../test/support/lab.js'
import { startRealLab, type RealLab } from '../test/support/real-lab.js'
import { addTestImage } from '../test/support/test-image.js'

/** A real backend with the real engine, whose nodes stay stopped, and an administrator. */
export async function withLab<T>(work: (lab: RealLab, person: Person) => Promise<T>): Promise<T> {
  const lab = await startRealLab()
  try {
    await addTestImage(lab.layout, lab.backend.services.lab!.store)
    return await work(lab, await lab.person('administrator'))
  } finally {
    await lab.close()
  }
}
