// How the page is built: two entries, plain names (the server gives each file an ETag), nothing inline.
import { defineConfig } from 'vite';

const server = process.env.HEADCOUNT_URL ?? 'http://127.0.0.1:7077';

export default defineConfig({
  base: '/page/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { proxy: { '/v1': server, '/openapi.json': server } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      input: { page: 'index.html', docs: 'docs.html' },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: 'shared.js',
        assetFileNames: '[name][extname]',
      },
    },
  },
});
