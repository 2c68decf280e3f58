"""The pages of the app; Streamlit runs each file, which draws the page for the entry asked."""
