// Builds two entries into one folder: the page, and the signaling module under the fixed name `duet.js`. Both
// share one chunk, so what others import is what the page runs on.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  base: '/',
  build: {
    target: 'es2022',
    // The Content-Security-Policy allows neither inline scripts nor inline styles, so nothing may be inlined but
    // pictures of the style sheet: they must be there when the broker is not.
    assetsInlineLimit: (file) => file.endsWith('.svg') && !file.endsWith('favicon.svg'),
    modulePreload: { polyfill: false },
    // mqtt.js alone is above Vite's default of 500 kB before compression.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: { page: 'index.html', duet: 'src/duet.ts' },
      preserveEntrySignatures: 'strict',
      output: {
        entryFileNames: (chunk) => (chunk.name === 'duet' ? 'duet.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  worker: { format: 'es' },
  test: { include: ['tests/**/*.test.ts'] },
});
