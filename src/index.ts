export * from './threads/index.js';
