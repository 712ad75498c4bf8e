"""Speech to text behind `SpeechModel`."""
