// Reads values that may be anything, and collects what is wrong with where.
export class Reader {
  constructor(faults) {
    this.faults = faults;
  }

  known(where, object, keys) {
    for (const key of Object.keys(object)) {
      if (!keys.includes(key)) this.faults.push(`${where}.${key}: not known`);
    }
  }

  // `value` if `holds`, else `fallback` and a fault; absent is `fallback`.
  take(where, value, holds, fallback) {
    if (value === undefined) return fallback;
    if (holds(value)) return value;
    this.faults.push(`${where}: not a value that it may have`);
    return fallback;
  }

  tried(where, make, fallback) {
    try {
      return make();
    } catch (error) {
      this.faults.push(`${where}: ${error.message}`);
      return fallback;
    }
  }

  // Texts for people: whatever is wrong with one takes none of the others.
  texts(where, raw) {
    const texts = this.take(where, raw, isObject, {});
    this.known(where, texts, TEXT_KEYS);
    const read = {};
    for (const key of TEXT_KEYS) {
      const holds = key === 'help_url' ? isHelp : isSentence;
      const text = this.take(`${where}.${key}`, texts[key], holds, undefined);
      if (text !== undefined) read[key] = text;
    }
    return read;
  }
}

const TEXT_KEYS = ['blocked', 'approval', 'help_url'];
const isSentence = (v) =>
  typeof v === 'string' && v.length > 0 && v.length <= 1024;
const isHelp = (v) => isSentence(v) && URL.canParse(v) &&
    new URL(v).protocol === 'https:';

export const isObject = (v) =>
  typeof v === 'object' && v !== null && !Array.isArray(v);
export const isText = (v) =>
  typeof v === 'string' && v.length > 0 && v.length <= 256;
export const isTexts = (v) => Array.isArray(v) && v.every(isText);
export const isBoolean = (v) => typeof v === 'boolean';
export const isOrigin = (v) => isText(v) && /^https?:/.test(v) &&
    URL.canParse(v) && new URL(v).origin === v;
export const oneOf = (...values) => (v) => values.includes(v);
// A list of these, and not an empty one.
export const someOf = (holds) => (v) =>
  Array.isArray(v) && v.length > 0 && v.every(holds);
