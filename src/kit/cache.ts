/**
 * Options for an LRUCache of at most this many entries. The option `max` would allocate memory for all of them at once,
 * which was 6 MB for the caches of an idle service.
 */
export const atMost = (entries: number) => ({ maxSize: entries, sizeCalculation: () => 1 })
