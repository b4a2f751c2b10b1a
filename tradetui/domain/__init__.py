"""The ground floor: trading nouns and their arithmetic. Imports only the standard library and numpy."""
