/**
 * Options of an LRUCache that keeps at most so many entries. With `max` it would allocate for all of them at once, which was 6 MB for the
 * caches of a service at rest.
 */
export const atMost = (entries: number) => ({ maxSize: entries, sizeCalculation: () => 1 })
