"""IBM Spectrum LSF and OpenLava: two dialects of one command set."""
