"""Make 48 small labelled videos to try the workflow on: `python -m clipfold.demo FOLDER`."""

from clipfold.demo.write import make_demo

__all__ = ["make_demo"]
