"""Text: characters, words of Chinese, and mentions."""
