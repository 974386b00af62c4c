"""Where does the history lie as tables?"""
