"""The pages of the app: each file is run by Streamlit, and draws itself from what is asked."""
