"""Where bundles lie: a folder, or a bucket whose bundles are fetched once. Knows no table and no HTTP."""
