"""The condition language: parse, check, to SQL, to words. Formulas hold column ids, never names."""
